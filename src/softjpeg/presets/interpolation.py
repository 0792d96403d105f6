"""Between two presets of a ladder: steps, hardness and stored size in log."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.preset import Preset


def between(low: Preset, high: Preset, share: float, known: Preset) -> Preset:
    """The preset at a share of the way from one to another.

    Args:
        low, high: of one subsampling.
        share: 0..1 of the way in log q, log h and, where both have one, log `short_side`; the rest
            is the nearer one's.
        known: whose distortion it has, with λ for its steps.

    >>> low, high = (Preset(np.full((8, 8), q), np.full((8, 8), q)) for q in (4, 16))
    >>> int(between(low, high, 0.5, low).luma[0, 0])
    8
    """

    def mean(a: Any, b: Any) -> Any:
        return np.exp((1 - share) * np.log(a) + share * np.log(b))

    near = high if round(share) else low
    names = ("luma", "chroma")
    tables = {n: mean(getattr(low, n), getattr(high, n)).round().astype(int) for n in names}
    sides = low.short_side, high.short_side
    return replace(
        near,
        **tables,
        hardness=mean(low.hardness, high.hardness),
        distortion=_with_steps(known, tables),
        short_side=near.short_side if None in sides else round(float(mean(*sides))),
    )


def _with_steps(rung: Preset, tables: Mapping[str, Any]) -> DistortionModel | None:
    """A rung's distortion with λ for other steps: what a bit is worth goes with their square."""
    if rung.distortion is None:
        return None
    logs = [np.log(tables[name]).mean() - np.log(getattr(rung, name)).mean() for name in tables]
    weight = rung.distortion.rate_weight * math.exp(2 * float(np.mean(logs)))
    return replace(rung.distortion, rate_weight=weight)
