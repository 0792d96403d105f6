"""One loss out of several networks': each relative to its own behind default tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def weights(scales: Sequence[float]) -> Tensor:
    """What each network's loss is multiplied by: the mean of the scales over its own.

    So a network that loses much everywhere counts as much as one that loses little, and a single
    network's loss stays as it is.

    Args:
        scales: each network's loss behind default tables, ≥ 0.

    Returns:
        (networks,) float64.

    >>> weights([0.5, 2.0]).tolist(), weights([0.0]).tolist()
    ([2.5, 0.625], [1.0])
    """
    scale = torch.tensor(scales, dtype=torch.float64)
    return torch.where(scale > 0, scale.mean() / scale.clamp_min(1e-12), 1.0)


def combined(losses: Tensor, scales: Sequence[float], *, worst_case: bool) -> Tensor:
    """The mean, or the largest, of the networks' losses as `weights` scales them.

    Args:
        losses: (..., networks).
        scales: as for `weights`.
        worst_case: the largest.

    Returns:
        (...,) float64.

    >>> combined(torch.tensor([0.5, 1.0]), [0.5, 2.0], worst_case=True).item()
    1.25
    """
    scaled = losses.double() * weights(scales)
    return scaled.amax(-1) if worst_case else scaled.mean(-1)
