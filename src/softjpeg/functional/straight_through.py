"""Operations that a decoder does exactly and a gradient should not notice."""

from __future__ import annotations

import torch
from torch import Tensor


def straight_through(value: Tensor, gradient: Tensor) -> Tensor:
    """`value` in the forward pass, the gradient of `gradient` in the backward pass.

    >>> x = torch.tensor(0.7, requires_grad=True)
    >>> straight_through(torch.round(x), 2 * x).backward()
    >>> x.grad.item()
    2.0
    """
    # This order leaves the value exact: a clamped step must not come out as 0.
    return value.detach() + (gradient - gradient.detach())


def round_half_up(x: Tensor) -> Tensor:
    """Round to the nearest integer, halves upward as libjpeg does; gradient 1.

    >>> round_half_up(torch.tensor([0.5, -0.5, 1.5])).tolist()
    [1.0, 0.0, 2.0]
    """
    return straight_through(torch.floor(x + 0.5), x)


def clamp(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp to [low, high] with gradient 1 everywhere: a hard clamp would cut it.

    Args:
        x: any float shape.
        low, high: bounds, low ≤ high.

    >>> clamp(torch.tensor([-1.0, 300.0]), 0, 255).tolist()
    [0.0, 255.0]
    """
    return straight_through(x.clamp(low, high), x)
