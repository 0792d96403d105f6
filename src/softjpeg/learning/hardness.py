"""The hardness of the probabilistic quantizer: chosen by what sampled files cost and lose."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from softjpeg.learning.image_rates import ImageRates, Tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.relative_loss import combined

HARDNESSES = (10.0, 20.0, 50.0, 200.0)
"""Candidates h = αq². At 4 a sampled file is two thirds larger; 200 is all but rounding."""
_BATCHES = 2


def choose_hardness(
    objective: Objective,
    rates: ImageRates,
    tables: Tables,
    rate_weight: float,
    scales: Sequence[float],
) -> float:
    """The hardness of least loss + λ·rate when coefficients are drawn from the CPMF.

    Args:
        objective: networks, images and loss; the first batches of its judging half are used.
        rates: counts the bytes of sampled files.
        tables: (luma, chroma), (8, 8) integers.
        rate_weight: λ in loss per bit per pixel.
        scales: loss of each network behind default tables.

    Returns:
        One of `HARDNESSES`; the same for the same objective.
    """

    def cost(hardness: float) -> float:
        # The same draws for every candidate, so that only the hardness differs.
        generator = torch.Generator().manual_seed(objective.seed)
        losses = [
            objective.losses(part, [tables], hardness=hardness, generator=generator)[0]
            for part in objective.judged[:_BATCHES]
        ]
        mean = torch.tensor(losses, dtype=torch.float64).mean(0)
        loss = combined(mean, scales, worst_case=objective.worst_case)
        return float(loss) + rate_weight * rates.sampled_bpp(tables, hardness)

    return min(HARDNESSES, key=cost)
