"""The hardness of the probabilistic quantizer: chosen by what sampled files cost and keep."""

from __future__ import annotations

import torch

from softjpeg.passes import Task
from softjpeg.proxy import codec_loss
from softjpeg.rate_control import RateControl, Tables

HARDNESSES = (10.0, 20.0, 50.0, 200.0)
"""Candidates h = αq². At 4 a sampled file is two thirds larger; 200 is all but rounding."""
_BATCHES = 2


def choose_hardness(task: Task, control: RateControl, tables: Tables, rate_weight: float) -> float:
    """The hardness of least loss + λ·rate when coefficients are drawn from the CPMF.

    Args:
        task: network, images and loss; the first batches of its judging half are used.
        control: counts the bytes of sampled files.
        tables: (luma, chroma), (8, 8) integers.
        rate_weight: λ in loss per bit per pixel.

    Returns:
        One of `HARDNESSES`; the same for the same task.
    """

    def cost(hardness: float) -> float:
        # The same draws for every candidate, so that only the hardness differs.
        generator = torch.Generator().manual_seed(task.seed)
        losses = [
            codec_loss(
                task.model,
                task.images[part],
                task.targets[part],
                tables,
                task.subsampling,
                task.loss,
                hardness=hardness,
                generator=generator,
            )
            for part in task.judged[:_BATCHES]
        ]
        return sum(losses) / len(losses) + rate_weight * control.sampled_bpp(tables, hardness)

    return min(HARDNESSES, key=cost)
