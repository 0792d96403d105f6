"""Which of several measured tables to keep: those whose gain on the default ones is surest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from softjpeg.learning.relative_loss import combined, weights
from softjpeg.learning.state import MeasuredGain


def choose(
    losses: Tensor, bpp: Sequence[float], rate_weight: float, *, worst_case: bool = False
) -> tuple[int, MeasuredGain]:
    """The candidate of surest gain; the last one, the default tables, gains exactly 0.

    The gain in measured loss + λ·rate counts at its lower confidence bound over the batches
    (Student's t, one-sided, 10 %), so that chance is not learned from. Of several networks the
    average gain counts, or in the worst case the smallest.

    Args:
        losses: (batches, candidates, networks) float64.
        bpp: bits per pixel of each candidate.
        rate_weight: λ in loss per bit per pixel.
        worst_case: of several networks, the one that gains least counts.

    Returns:
        The index of the candidate, and its gain on the last one.

    >>> losses = torch.tensor([[[0.1], [0.5]], [[0.2], [0.5]]], dtype=torch.float64)
    >>> chosen, gain = choose(losses, [1.0, 1.0], 1.0)
    >>> chosen, round(gain.loss, 2), gain.default_loss
    (0, 0.15, 0.5)
    """
    rates = torch.tensor(bpp, dtype=torch.float64)
    scales = losses[:, -1].mean(0).tolist()
    costs = losses * weights(scales) + rate_weight * rates[:, None]
    gain = costs[:, [-1]] - costs
    gain = gain if worst_case else gain.mean(-1, keepdim=True)
    error = gain.std(0) / len(gain) ** 0.5 if len(gain) > 1 else torch.zeros_like(gain[0])
    # The 90 % quantile of Student's t, to 6 % from 2 degrees of freedom on.
    quantile = 1.28 + 1.0 / max(1, len(gain) - 1)
    chosen = int((gain.mean(0) - quantile * error).amin(-1).argmax())
    return chosen, measured_gain(losses, bpp, chosen, worst_case=worst_case)


def measured_gain(
    losses: Tensor, bpp: Sequence[float], chosen: int, *, worst_case: bool = False
) -> MeasuredGain:
    """What one of several candidates gains on the last one, the default tables.

    Args:
        losses: (batches, candidates, networks) float64.
        bpp: bits per pixel of each candidate.
        chosen: index of the candidate.
        worst_case: of several networks, the one that gains least counts.

    >>> losses = torch.tensor([[[0.1], [0.5]]], dtype=torch.float64)
    >>> measured_gain(losses, [1.0, 2.0], 0).default_bpp
    2.0
    """
    means = losses.mean(0)
    summary = combined(means, means[-1].tolist(), worst_case=worst_case)
    return MeasuredGain(
        loss=float(summary[chosen]),
        bpp=bpp[chosen],
        default_loss=float(summary[-1]),
        default_bpp=bpp[-1],
        networks=torch.stack([means[chosen], means[-1]], -1).tolist(),
    )
