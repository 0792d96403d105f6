"""Sensitivity: how much an error at each frequency raises the loss, ``s_m = E (∂loss/∂z_m)²``.

With ``loss = -log p(y|x)`` and y drawn from the network's own output, s is the diagonal of the
Fisher information, and an error e raises the KL divergence by about ``½ Σ_m s_m e_m²``. It needs no
labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.common.progress import track
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.learning.losses import Loss
from softjpeg.models.inference import device_of

_ROUGHNESS = 0.25
"""How far a sensitivity is expected to be from the average of its neighbours, in log."""


def sensitivity(
    model: nn.Module,
    images: Tensor,
    tables: Sequence[Tensor] | None = None,
    subsampling: Subsampling = "4:4:4",
    *,
    loss: Loss | None = None,
    targets: Tensor | None = None,
    batch_size: int = 32,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> Tensor:
    """Mean squared gradient per component and frequency, over images and blocks.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits.
        images: (N, 3, H, W) uint8.
        tables: (luma, chroma), each (8, 8): take the gradient at the images as these tables leave
            them; None for the uncompressed images.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        loss: from (outputs, targets) to the *sum* over a batch; None for the Fisher information.
        targets: (N, ...) second argument of `loss`.
        batch_size: images per gradient.
        generator: draws the Fisher information's labels.
        progress: show a progress bar on a terminal.

    Returns:
        (3, 8, 8): Y, Cb, Cr, in units of loss² per squared pixel level.

    >>> images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> tuple(sensitivity(network, images).shape)
    (3, 8, 8)
    """
    total = torch.zeros(3, 8, 8, dtype=torch.float64)
    starts = range(0, len(images), batch_size)
    for start in track(starts, "sensitivity", enabled=progress):
        part = slice(start, start + batch_size)
        chosen = None if targets is None else targets[part]
        _, gradients = coefficient_gradients(
            model, images[part], tables, subsampling, loss, chosen, generator=generator
        )
        total += len(images[part]) * mean_squares(gradients)
    return (total / len(images)).float()


def mean_squares(gradients: Sequence[Tensor]) -> Tensor:
    """(3, 8, 8) float64 of `coefficient_gradients`: mean over images and blocks."""
    return torch.stack([g.double().square_().mean((0, 1, 2)).cpu() for g in gradients])


def mean_of_groups(squares: list[Tensor], blocks: list[Tensor]) -> Tensor:
    """The `mean_squares` of all images, from those of groups of one size.

    Args:
        squares: (3, 8, 8) of each group, a mean over its blocks.
        blocks: (3,) of each, how many those are.

    >>> one = torch.ones(3, 8, 8)
    >>> mean_of_groups([one, 4 * one], [torch.tensor([2.0] * 3), torch.tensor([1.0] * 3)])[0, 0, 0]
    tensor(2., dtype=torch.float64)
    """
    if len(squares) == 1:
        return squares[0]
    counts = torch.stack(blocks).double()[..., None, None]
    return (torch.stack(squares) * counts).sum(0) / counts.sum(0)


def coefficient_gradients(
    model: nn.Module,
    images: Tensor,
    tables: Sequence[Tensor] | None,
    subsampling: Subsampling,
    loss: Loss | None = None,
    targets: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Coefficients (Y, Cb, Cr) of one batch, and the gradient of its summed loss behind `tables`.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes, ...).
        images: (B, 3, H, W) uint8.
        tables: (luma, chroma), each (8, 8), behind which the gradient is taken, or None.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        loss: from (outputs, targets) to the *sum* over the batch; None for the Fisher information.
        targets: (B, ...) second argument of `loss`.
        generator: draws the Fisher information's labels.

    Returns:
        The unquantized coefficients and the gradients, each (B, rows, columns, 8, 8).
    """
    device = device_of(model)
    coefficients = image_to_coefficients(images.to(device), subsampling, rounding=True)
    steps = None
    if tables is not None:
        luma, chroma = (t.to(coefficients[0]) for t in tables)
        steps = (luma, chroma, chroma)
    z = tuple(c.detach().requires_grad_() for c in coefficients)
    size = (images.shape[-2], images.shape[-1])
    outputs = model(coefficients_to_image(z, size, subsampling, rounding=True, steps=steps))
    if loss is None:
        # A class for each position, where there are many; the loss is the mean over them.
        scores = outputs.detach().movedim(1, -1)
        flat = scores.softmax(-1).reshape(-1, scores.shape[-1]).cpu()
        drawn = torch.multinomial(flat, 1, generator=generator).reshape(scores.shape[:-1])
        value = F.cross_entropy(outputs, drawn.to(device), reduction="sum")
        value = value / outputs[0, 0].numel() ** 0.5
    elif targets is None:
        raise ValueError("targets must be given with a loss, got None")
    else:
        value = loss(outputs, targets.to(device))
    return coefficients, torch.autograd.grad(value, z)


def pooled(batches: Sequence[Tensor]) -> Tensor:
    """Mean sensitivity of several batches, steadied where they disagree.

    It varies smoothly over frequency: where its relative standard error r over the batches is
    large, its logarithm is drawn to the average of its neighbours, by ``r²/(r² + 0.25²)``.

    Args:
        batches: (3, 8, 8) > 0 each, of as many images.

    >>> pooled([torch.ones(3, 8, 8), torch.ones(3, 8, 8)]).unique().tolist()
    [1.0]
    """
    rows = torch.stack(list(batches)).double().clamp_min(1e-20)
    mean = rows.mean(0)
    if len(rows) == 1:
        return mean.float()
    relative = rows.std(0) / len(rows) ** 0.5 / mean
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64) / 4
    padded = F.pad(mean.log()[:, None], (1, 1, 1, 1), mode="replicate")
    around = F.conv2d(padded, torch.outer(kernel, kernel)[None, None])[:, 0]
    share = relative**2 / (relative**2 + _ROUGHNESS**2)
    steadied: Tensor = ((1 - share) * mean.log() + share * around).exp()
    return steadied.float()
