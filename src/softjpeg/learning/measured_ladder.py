"""A `Ladder` out of presets, by measuring what files cost along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from softjpeg.codec.file_sizes import mean_bpp, mean_scan_bpp, rate_sample
from softjpeg.common.image_sequence import Images
from softjpeg.learning.image_rates import QUALITIES
from softjpeg.presets.ladder import Curve, Ladder
from softjpeg.presets.preset import Preset

_BETWEEN = 4
"""Positions measured from one rung to the next."""


def measured_ladder(
    presets: Sequence[Preset],
    images: Images,
    provenance: Mapping[str, Any] | None = None,
    *,
    size_exponent: float = 1.0,
) -> Ladder:
    """A ladder whose qualities are those of default JPEG on given images.

    Args:
        presets: of one subsampling, in any order.
        images: uint8, of any sizes; up to 64 of them are encoded.
        provenance: kept in the ladder.
        size_exponent: kept in the ladder, see `Ladder`.

    >>> import torch
    >>> images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    >>> ladder = measured_ladder([Preset.from_quality(50)], images)
    >>> bool((ladder.at(50).luma == ladder.rungs[0].luma).all())
    True
    """
    sample = rate_sample(images)

    def bpp(preset: Preset) -> float:
        return mean_bpp(sample, preset)

    def scan_bpp(preset: Preset) -> float:
        return mean_scan_bpp(sample, preset)

    rungs = tuple(sorted(presets, key=bpp))
    # Only to interpolate with: the curves are what is to be measured.
    last = len(rungs) + 1
    draft = Ladder(rungs, ((0, 1), (last, 1)), ((1, 1), (100, 1)))
    positions = [i / _BETWEEN for i in range(_BETWEEN * last + 1)]
    subsampling = rungs[0].subsampling
    return Ladder(
        rungs,
        _curve(positions, lambda p: bpp(draft.at_position(p))),
        _curve(QUALITIES, lambda q: bpp(Preset.from_quality(int(q), subsampling))),
        provenance or {},
        _curve(positions, lambda p: scan_bpp(draft.at_position(p))) if size_exponent < 1 else (),
        size_exponent,
    )


def _curve(points: Sequence[float], measure: Callable[[float], float]) -> Curve:
    # Sizes that fall by a byte or two where tables round are held level.
    return tuple(zip(points, accumulate(map(measure, points), max), strict=True))
