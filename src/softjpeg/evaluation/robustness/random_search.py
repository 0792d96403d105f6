"""An attack that needs no gradient, after the Square attack (Andriushchenko et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from softjpeg.evaluation.robustness.attacks import check_batch, closer, frozen, project

_HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
"""Queries of 10,000 after which the Square attack halves its squares' area."""


def random_search(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    queries: int = 200,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Change squares of x by ±eps and keep what lowers the margin.

    Vertical stripes first, then squares whose share of the image shrinks from 0.8.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.
        queries: how often it asks the network.
        generator: of its draws, on the CPU.

    >>> from softjpeg.evaluation.robustness.attacks import margin
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> x, y = torch.full((2, 3, 8, 8), 0.5), torch.tensor([0, 3])
    >>> changed = random_search(network, x, y, 2 / 255, queries=5)
    >>> bool((margin(network(changed), y) <= margin(network(x), y)).all())
    True
    """
    check_batch(x, y, eps)
    if queries < 1:
        raise ValueError(f"queries must be at least 1, got {queries}")
    b, _, height, width = x.shape
    rows, columns = torch.arange(height), torch.arange(width)

    def signs(*shape: int) -> Tensor:
        drawn = torch.randint(0, 2, (b, x.shape[1], *shape), generator=generator)
        return (eps * (2 * drawn - 1)).to(x)

    with frozen(model):
        start = torch.full((b,), torch.inf, device=x.device)
        best, least = closer(model, y, x, start, x)
        best, least = closer(model, y, best, least, project(x + signs(1, width), x, eps))
        for query in range(1, queries):
            halvings = sum(10000 * query / queries > at for at in _HALVINGS)
            side = max(1, round((0.8 * 0.5**halvings * height * width) ** 0.5))
            corners = torch.rand(2, b, 1, generator=generator)
            top = (corners[0] * max(1, height - side + 1)).floor()
            left = (corners[1] * max(1, width - side + 1)).floor()
            inside = ((rows >= top) & (rows < top + side))[:, :, None]
            inside = inside & ((columns >= left) & (columns < left + side))[:, None]
            changed = torch.where(inside[:, None].to(x.device), x + signs(1, 1), best)
            best, least = closer(model, y, best, least, project(changed, x, eps))
    return best
