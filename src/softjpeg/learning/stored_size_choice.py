"""The stored size of least loss at a rate: fewer pixels, each of them coded more finely.

What a network resizes away need not be stored, but how far to go depends on the rate: the fewer
bits there are, the fewer pixels they should be spent on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor

from softjpeg.common.progress import track
from softjpeg.learning.image_rates import default_tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions

_RATIO = 2 ** (1 / 6)
"""From one size to the next: a fifth of the pixels."""
_WHOLE = 16
"""Pixels that sizes are rounded to, blocks of chroma being 16 wide."""
_SMALLEST = 32
_PATIENCE = 2
"""Sizes in a row that are no better, after which smaller ones are not tried."""
_IMAGES = 128
_LEAST_LOSS = 1e-9


def short_sides(
    objective: Objective, targets_bpp: Sequence[float], options: RunOptions
) -> dict[float, int | None]:
    """The shorter side to store images at, for each rate: what `options` says, or what is best.

    Default tables are scaled to the rate at each size, and the networks asked about up to 128
    images of the measuring half. A size counts by its loss relative to that at the images' own
    size, in log and averaged over the networks, and only where no network loses.

    Args:
        objective: at the images' own size.
        targets_bpp: bits per pixel of the images at their own size.
        options: of the run; its `short_side` may be "auto".

    Returns:
        By rate, from the highest to the lowest: a number of pixels, or None for the images' own
        size. At no lower rate are more pixels stored.
    """
    falling = sorted(set(targets_bpp), reverse=True)
    if options.short_side != "auto":
        return dict.fromkeys(falling, options.short_side)
    chosen: dict[float, int | None] = {}
    sides = _sides(objective)
    stored = {side: objective.storing(short_side=side) for side in sides}
    for target in track(falling, "stored size", enabled=options.progress):
        own = _losses(objective, target)
        best: int | None = None
        costs: dict[int | None, float] = {None: 0.0}
        worse = 0
        for side in sides:
            ratios = (_losses(stored[side], target) / own).log()
            costs[side] = float(ratios.mean())
            better = costs[side] < costs[best] and bool((ratios <= 0).all())
            best, worse = (side, 0) if better else (best, worse + 1)
            if worse == _PATIENCE:
                break
        chosen[target] = best
        sides = [side for side in sides if best is None or side <= best]
        if options.log is not None:
            options.log(_sentence(target, best, costs))
    return chosen


def _sides(objective: Objective) -> list[int]:
    """Below the images' own, which most of them have more of, falling."""
    side = median(min(image.shape[-2:]) for image in objective.images[:_IMAGES])
    sides: dict[int, None] = {}
    while (side := side / _RATIO) >= _SMALLEST:
        sides[_WHOLE * round(side / _WHOLE)] = None
    return list(sides)


def _losses(objective: Objective, target_bpp: float) -> Tensor:
    """(networks,) behind default tables of a rate."""
    control = RateControl(objective.rates)
    tables = control.scaled(default_tables(50), target_bpp)
    parts, images = [], 0
    for part in objective.measured:
        parts.append(part)
        images += part.stop - part.start
        if images >= _IMAGES:
            break
    losses = [objective.losses(part, [tables])[0] for part in parts]
    return torch.tensor(losses, dtype=torch.float64).mean(0).clamp(min=_LEAST_LOSS)


def _sentence(target: float, best: int | None, costs: dict[int | None, float]) -> str:
    size = "their own size" if best is None else f"a shorter side of {best}"
    tried = ", ".join(
        f"{side} {100 * math.expm1(cost):+.0f} %" for side, cost in costs.items() if side
    )
    return f"{target:.3f} bpp: images stored at {size} (loss at {tried})"
