"""Tables at a rate: scaled as by a quality, or searched for in real bytes."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from softjpeg.codec.file_sizes import mean_bpp, rate_sample
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.preset import Preset

_IMAGES = 32
_HALVINGS = 14


def quality_scale(quality: int) -> float:
    """The factor on the tables at a libjpeg quality 1..100: 1 at 50, never quite 0.

    >>> quality_scale(25), quality_scale(75)
    (2.0, 0.5)
    """
    return 50 / quality if quality < 50 else max(100 - quality, 0.5) / 50


def scaled_preset(tables: tuple[Tensor, Tensor], scale: float, subsampling: Subsampling) -> Preset:
    """Tables times a factor.

    Args:
        tables: (luma, chroma), each (8, 8) > 0.
        scale: > 0; the products are rounded and clamped to 1..255.
        subsampling: of the preset.

    >>> import torch
    >>> ones = torch.ones(8, 8)
    >>> scaled_preset((ones, 300 * ones), 2.0, "4:2:0").chroma[0, 0]
    np.int64(255)
    """
    luma, chroma = ((t * scale).round().clamp(1, 255).long().numpy() for t in tables)
    return Preset(luma, chroma, subsampling=subsampling)


def at_bpp(
    family: Callable[[float], Preset], images: Tensor, target_bpp: float, low: float, high: float
) -> float:
    """The parameter at which a family of presets reaches a rate, or comes nearest to it.

    Args:
        family: from a parameter > 0 to a preset; the larger, the smaller the files.
        images: (N, 3, H, W) uint8; at most 32 of them are encoded, evenly spread.
        target_bpp: bits per pixel of whole files.
        low, high: of the parameter; bisected on a logarithmic scale.

    >>> import torch
    >>> images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    >>> flat = lambda x: scaled_preset((torch.ones(8, 8),) * 2, x, "4:4:4")
    >>> at_bpp(flat, images, 1e-3, 1, 255)  # out of reach
    255
    """
    sample = rate_sample(images, _IMAGES)
    tried = {x: mean_bpp(sample, family(x)) for x in (low, high)}
    if not tried[high] < target_bpp < tried[low]:
        return low if target_bpp >= tried[low] else high
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        tried[middle] = mean_bpp(sample, family(middle))
        if tried[middle] > target_bpp:
            low = middle
        else:
            high = middle
    return min(tried, key=lambda x: abs(tried[x] - target_bpp))
