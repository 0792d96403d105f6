"""Sorted random search (Li, De Sa and Sampson 2020, arXiv 2003.02874; ours, after it).

Steps drawn at random and sorted along the zigzag make tables that rise with frequency, as good ones
are thought to; the network says which of them are worth their bytes.
"""

from __future__ import annotations

import math

import torch

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.evaluation.judging import judge
from softjpeg.evaluation.pareto import pareto_front
from softjpeg.jpeg.tables import Table, from_zigzag
from softjpeg.presets.preset import Preset

_IMAGES = 24


def sorted_random(context: Context, candidates: int = 48) -> dict[str, Encoder]:
    """The candidates that no other beats in both bytes and fidelity on the learning images.

    Fidelity is the KL divergence from the network's own answers, which tells more from few images
    than the paper's accuracy; it is taken on at most 24 of them, evenly spread.

    Args:
        context: its network, images, subsampling and seed are used.
        candidates: pairs of tables to draw.
    """
    assert context.images is not None
    assert context.model is not None
    generator = torch.Generator().manual_seed(context.seed)
    encoders = {
        f"table {number}": preset_encoder(
            Preset(
                random_table(generator), random_table(generator), subsampling=context.subsampling
            )
        )
        for number in range(candidates)
    }
    images = context.images[:: -(-len(context.images) // _IMAGES)]
    points = judge(context.model, images, encoders, progress=context.progress)[1:]
    names = {(p.bpp, -p.kl): p.name for p in points}
    front = zip(*pareto_front([p.bpp for p in points], [-p.kl for p in points]), strict=True)
    return {names[at]: encoders[names[at]] for at in front if at in names}


def random_table(generator: torch.Generator) -> Table:
    """64 steps, uniform between two bounds and sorted along the zigzag.

    The lower bound is log-uniform in 1..64, the upper one in from there to 255, so that
    tables of every rate are drawn.

    >>> table = random_table(torch.Generator().manual_seed(0))
    >>> bool(table[0, 0] == table.min()), bool(table[7, 7] == table.max())
    (True, True)
    """
    first, second = torch.rand(2, generator=generator).tolist()
    low = math.exp(first * math.log(64))
    high = low * math.exp(second * math.log(255 / low))
    steps = low + (high - low) * torch.rand(64, generator=generator)
    return from_zigzag(steps.round().long().clamp(1, 255).sort().values.tolist())
