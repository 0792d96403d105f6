"""White-box attacks in the L∞ ball, through whatever layers a network has.

Every attack here takes images x (B, 3, H, W) float RGB in [0, 1] with labels y (B,) int64 and
returns images x' of the same shape in [0, 1] with ``max |x' - x| ≤ eps``; eps 1/255 is one pixel
level. The network is put in eval mode; its parameters and their gradients stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.functional.quantizers import DIFFERENTIABLE
from softjpeg.nn.table_quantizer import TableQuantizer

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From (network, images, labels) to adversarial images."""


def fgsm(model: nn.Module, x: Tensor, y: Tensor, eps: float) -> Tensor:
    """Fast gradient sign method: ``x' = clip(x + eps·sign ∂loss/∂x)`` (Goodfellow et al. 2015).

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.

    Returns:
        (B, 3, H, W) in [0, 1].

    Raises:
        ValueError: x, y or eps of the wrong shape, type or range, or a network without a gradient.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> changed = fgsm(network, torch.full((2, 3, 8, 8), 0.5), torch.tensor([0, 3]), 2 / 255)
    >>> round((changed - 0.5).abs().max().item() * 255, 3)
    2.0
    """
    check_batch(x, y, eps)
    with frozen(model):
        return project(x + eps * loss_gradient(model, x, y).sign(), x, eps)


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    steps: int = 5,
    step: float | None = None,
    random_start: bool = True,
    restarts: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Projected gradient descent: ``x ← P(x + step·sign ∂loss/∂x)`` (Madry et al. 2018).

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.
        steps: gradients per start.
        step: length of one; default JPEG-DL's ``2.5·eps/steps``.
        random_start: begin at a uniform point of the ball instead of at x.
        restarts: how many random starts; of each image the one with the smallest margin is kept.
        generator: of the random starts, on the CPU.

    Raises:
        ValueError: x, y or eps of the wrong shape, type or range, a network without a gradient,
            steps or restarts below 1, or restarts without a random start.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> changed = pgd(network, torch.full((2, 3, 8, 8), 0.5), torch.tensor([0, 3]), 2 / 255)
    >>> bool((changed - 0.5).abs().max() < 2.001 / 255)
    True
    """
    check_batch(x, y, eps)
    for name, value in (("steps", steps), ("restarts", restarts)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if restarts > 1 and not random_start:
        raise ValueError(f"restarts must be 1 without a random start, got {restarts}")
    length = 2.5 * eps / steps if step is None else step
    best, least = x, torch.full((len(x),), torch.inf, device=x.device)
    with frozen(model):
        for _ in range(restarts):
            moved = x
            if random_start:
                noise = 2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1
                moved = project(x + eps * noise.to(x.device), x, eps)
            for _ in range(steps):
                moved = project(moved + length * loss_gradient(model, moved, y).sign(), x, eps)
            if restarts == 1:
                return moved
            best, least = closer(model, y, best, least, moved)
    return best


def bpda(model: nn.Module, x: Tensor, y: Tensor, eps: float, **options: Any) -> Tensor:
    """PGD with the straight-through gradient of every JPEG layer (Athalye et al. 2018, sec. 4.1).

    A soft quantizer with steep edges has a gradient that is true and of no use: nearly 0 between
    the edges. This attack takes the identity's instead and rounds hard meanwhile.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits; without JPEG layers it is plain PGD.
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.
        options: of `pgd`.
    """
    layers = soft_layers(model)
    names = [layer.quantizer for layer in layers]
    try:
        for layer in layers:
            layer.quantizer = "hard"
        return pgd(model, x, y, eps, **options)
    finally:
        for layer, name in zip(layers, names, strict=True):
            layer.quantizer = name


def soft_layers(model: nn.Module) -> list[TableQuantizer]:
    """The JPEG layers of a network whose quantizer has a gradient of its own."""
    layers = [m for m in model.modules() if isinstance(m, TableQuantizer)]
    return [m for m in layers if m.quantizer in DIFFERENTIABLE]


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """``z_y - max_{j≠y} z_j`` (B,): negative where the network is wrong.

    >>> margin(torch.tensor([[1.0, 4.0, 2.0]]), torch.tensor([2])).item()
    -2.0
    """
    of_label = logits.gather(1, y[:, None])
    others = logits.scatter(1, y[:, None], -torch.inf)
    return (of_label[:, 0] - others.amax(1)).detach()


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Loss ``log((1 - p_y)/p_y)`` (B,), p the softmax of the logits.

    Its gradient is the cross-entropy's over 1 - p_y: of the same sign, but not rounded to 0 where
    the network is sure.

    >>> log_odds(torch.tensor([[50.0, 0.0]]), torch.tensor([0])).item()
    -50.0
    """
    of_label = logits.gather(1, y[:, None])[:, 0]
    return logits.scatter(1, y[:, None], -torch.inf).logsumexp(1) - of_label


@torch.no_grad()
def closer(
    model: nn.Module, y: Tensor, best: Tensor, least: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor]:
    """Per image the candidate of the smaller margin, and that margin; NaN never wins.

    Args:
        model: whose margins these are.
        y: (B,) labels.
        best, least: (B, 3, H, W) the candidates so far, and their margins (B,).
        moved: (B, 3, H, W) the new ones.
    """
    margins = margin(model(moved), y)
    better = margins < least
    images = torch.where(better[:, None, None, None], moved, best)
    return images, torch.where(better, margins, least)


@torch.enable_grad()
def loss_gradient(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """∂ `log_odds`/∂x (B, 3, H, W): parallel to the cross-entropy's gradient, image by image.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        x: (B, 3, H, W).
        y: (B,) labels.

    Raises:
        ValueError: no gradient passes through the network.
    """
    x = x.detach().requires_grad_()
    loss = log_odds(model(x), y).sum()
    gradient = torch.autograd.grad(loss, x, allow_unused=True)[0] if loss.requires_grad else None
    if gradient is None:
        raise ValueError("no gradient passes through the network: its output does not need its x")
    return gradient


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """In eval mode, and no parameter takes a gradient meanwhile."""
    model.eval()
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)


def check_batch(x: Tensor, y: Tensor, eps: float) -> None:
    """Refuse a batch that cannot be attacked.

    Args:
        x: (B, C, H, W) float in [0, 1], B ≥ 1.
        y: (B,) int64.
        eps: 0..1.

    Raises:
        ValueError: one of them is of another shape, type or range; it is named.
    """
    if x.ndim != 4 or not len(x) or not x.is_floating_point():
        raise ValueError(f"x must be float of shape (B, C, H, W), got {tuple(x.shape)} {x.dtype}")
    low, high = x.min().item(), x.max().item()
    if not 0 <= low <= high <= 1:
        raise ValueError(f"x must lie in 0..1, got {low:g}..{high:g}")
    if y.shape != (len(x),) or y.dtype != torch.int64:
        raise ValueError(f"y must be int64 of shape ({len(x)},), got {tuple(y.shape)} {y.dtype}")
    if not 0 <= eps <= 1:
        raise ValueError(f"eps must lie in 0..1 (1/255 is one pixel level), got {eps}")


def project(moved: Tensor, x: Tensor, eps: float) -> Tensor:
    """The nearest images that differ from x by at most eps and lie in [0, 1].

    Args:
        moved: images of x's shape.
        x: the images to stay near.
        eps: largest change of a pixel, 0..1.
    """
    return (x + (moved - x).clamp(-eps, eps)).clamp(0, 1)
