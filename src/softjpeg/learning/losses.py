"""What a network's outputs on a compressed image cost, by name or from a user's file."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.models.fidelity import check_direction, cosine_distance, kl_terms

Loss = Callable[[Tensor, Tensor], Tensor]
"""From (outputs, targets) of a batch to the mean over it."""


def kl_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """KL divergence (nats) of outputs from targets, both logits (B, classes), mean of the batch.

    Of logits (B, classes, ...) at many positions, the mean of these too.

    >>> kl_loss(torch.zeros(2, 5), torch.zeros(2, 5)).item()
    0.0
    """
    return kl_terms(outputs, targets).sum() * outputs.shape[1] / outputs.numel()


def default_loss(labels: Tensor | None) -> Loss:
    """Of a network whose outputs are class scores: KL divergence, or with labels cross-entropy."""
    return kl_loss if labels is None else F.cross_entropy


def losses_one_by_one(loss: Loss, outputs: Tensor, targets: Tensor) -> list[float]:
    """The loss of each image of a batch.

    Args:
        loss: the mean over a batch.
        outputs, targets: (B, ...), as it takes them.

    >>> losses_one_by_one(kl_loss, torch.zeros(2, 5), torch.zeros(2, 5))
    [0.0, 0.0]
    """
    ones = [slice(i, i + 1) for i in range(len(outputs))]
    return [float(loss(outputs[one], targets[one])) for one in ones]


def cosine_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """``1 - cos`` between embeddings (B, D), mean of the batch.

    Raises:
        ValueError: embeddings of one number, whose cosine is always 1.

    >>> cosine_loss(torch.eye(2), torch.eye(2)).item()
    0.0
    """
    check_direction(targets, "take --loss mse")
    return cosine_distance(outputs, targets).mean()


def mse_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error of outputs (B, ...), mean of the batch and of each output's numbers.

    >>> mse_loss(torch.ones(2, 3), torch.zeros(2, 3)).item()
    1.0
    """
    return F.mse_loss(outputs, targets)


LOSSES: dict[str, Loss | None] = {"kl": None, "cosine": cosine_loss, "mse": mse_loss}
"""By name; None is `learn`'s own, KL or with labels cross-entropy."""


def load_loss(spec: str) -> Loss | None:
    """The loss that `spec` names: one of `LOSSES`, or ``FILE.py:FUNCTION``.

    Raises:
        ValueError: no such name, file or function, or the file fails; one sentence.

    >>> load_loss("mse")(torch.ones(1, 2), torch.ones(1, 2)).item()
    0.0
    """
    if spec in LOSSES:
        return LOSSES[spec]
    file, _, name = spec.rpartition(":")
    if not file.endswith(".py"):
        known = ", ".join(LOSSES)
        raise ValueError(f"loss must be {known} or FILE.py:FUNCTION, got {spec!r}")
    if not Path(file).is_file():
        raise ValueError(f"loss file {file} does not exist")
    try:
        function = runpy.run_path(file).get(name)
    # Whatever the user's own code raises, the sentence says which file did.
    except Exception as error:
        raise ValueError(f"{file} failed: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise ValueError(f"{file} has no function {name!r}")
    loss: Loss = function
    return loss


def curvature_draw(
    loss: Loss, outputs: Tensor, targets: Tensor, generator: torch.Generator
) -> Tensor:
    """Random v with ``E v vᵀ`` about the loss's Hessian H in the outputs, as Fisher's labels have.

    ``v = Hε·√(εᵀHε)/|Hε|`` for random signs ε, for each image: exact where H is a scaled projector
    (squared error, cosine), and of the right trace elsewhere. Where the loss has no second
    derivative, v is its gradient.

    Args:
        loss: from (outputs, targets) to the mean over the batch.
        outputs: (B, ...) where H is taken; no gradient flows to it.
        targets: the loss's second argument.
        generator: of the signs, on the CPU.

    Returns:
        (B, ...) like `outputs`. The gradient of ``Σ v·outputs`` squares to the curvature.

    >>> x, g = torch.zeros(3, 4), torch.Generator()
    >>> draw = curvature_draw(lambda a, b: ((a - b) ** 2).sum(1).mean(), x, x, g)
    >>> torch.unique((draw**2).round(decimals=4)).tolist()
    [2.0]
    """
    with torch.enable_grad():
        point = outputs.detach().requires_grad_()
        total = loss(point, targets) * len(point)
        (gradient,) = torch.autograd.grad(total, point, create_graph=True)
        if not gradient.requires_grad:
            return gradient.detach()
        signs = torch.randint(0, 2, point.shape, generator=generator).to(point) * 2 - 1
        (curved,) = torch.autograd.grad((gradient * signs).sum(), point, materialize_grads=True)
    rows, of_signs, along = (x.reshape(len(x), -1) for x in (curved, signs, gradient.detach()))
    trace = (rows * of_signs).sum(1).clamp_min(0)
    norm = rows.norm(dim=1)
    scaled = rows * (trace.sqrt() / norm.clamp_min(torch.finfo(rows.dtype).tiny))[:, None]
    chosen = torch.where((norm > 0)[:, None], scaled, along)
    return chosen.reshape(outputs.shape)
