"""A quality for each image, by how large its file would be: without asking any network.

Busy images cost many bits and hide errors well; plain ones cost few and show them. So at one
nominal quality an image of b bits of scan, where the mean is B, gets the quality at which it has
``B (b/B)^γ`` bits: γ = 1 is one quality for all, γ = 0 one size for all. γ is learned.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from PIL import Image

from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.codec.stored_size import stored_picture, stored_size
from softjpeg.jpeg.entropy.scan_bits import scan_bits
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load, load_preset
from softjpeg.presets.preset import Preset

_SECANTS = 4
_STEEPEST = 3.0
_STRIP, _EVERY, _STRIPS = 16, 3, 12
"""Rows of pixels that are looked at together, one strip in so many, of images that have enough."""
_CLOSE = 0.01
"""Of a size, in log: steps of the tables make larger ones."""


def adapted(ladder: Ladder, image: Any, quality: float) -> Preset:
    """The ladder's preset for an image at a nominal quality.

    Args:
        ladder: its `size_exponent` is γ.
        image: Pillow image, tensor (3 or 1, H, W) or array; uint8, or float in [0, 1].
        quality: 1..100.

    Returns:
        ``ladder.at(quality)`` where γ is 1, at either end of the qualities, and for gray images. B
        is the mean over the images that the ladder was learned from: images much larger than those
        have fewer bits per pixel, and get somewhat higher qualities.

    >>> rung = Preset.from_quality(50)
    >>> ladder = Ladder((rung,), ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0)))
    >>> adapted(ladder, np.zeros((8, 8, 3), np.uint8), 50) == ladder.at(50)
    True
    """
    image = to_pillow_image(image)
    if ladder.size_exponent == 1 or quality in (1, 100) or image.mode == "L":
        return ladder.at(quality)
    nominal = ladder.position(quality)
    bits = _ScanBits(ladder, image, nominal)
    positions, rates = zip(*ladder.scan_bpp, strict=True)
    logs = np.log(rates)

    def position(log_rate: float) -> float:
        return float(np.interp(log_rate, logs, positions))

    mean = float(np.interp(nominal, positions, logs))
    own = bits.log_bpp(nominal)
    wanted = mean + ladder.size_exponent * (own - mean)
    # An image's size goes with the mean size along the ladder, by a slope near 1: secants.
    here, miss = mean, own - wanted
    there = mean - miss
    for _ in range(_SECANTS):
        miss_there = bits.log_bpp(position(there)) - wanted
        if abs(miss_there) < _CLOSE or abs(miss_there - miss) < _CLOSE**2:
            break
        slope = min(max((miss_there - miss) / (there - here), 1 / _STEEPEST), _STEEPEST)
        here, miss, there = there, miss_there, there - miss_there / slope
    return ladder.at_position(position(there))


@dataclass(frozen=True, eq=False)
class AdaptiveQuality:
    """A ladder at a quality that each image gets a little lower or higher: `size_exponent`.

    Busy images take many bits and hide errors well. Give it to `softjpeg.encode` as a preset, which
    calls it with the image.

    >>> rung = Preset.from_quality(50)
    >>> ladder = Ladder((rung,), ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0)))
    >>> AdaptiveQuality(ladder, 50)(np.zeros((8, 8), np.uint8)) == ladder.at(50)
    True
    """

    ladder: Ladder
    quality: float

    def __call__(self, image: Any) -> Preset:
        """The preset for an image."""
        return adapted(self.ladder, image, self.quality)

    @property
    def subsampling(self) -> Subsampling:
        """Of every rung."""
        return self.ladder.subsampling

    def to_json(self) -> str:
        """Everything that decides the files."""
        return json.dumps({"quality": self.quality, "ladder": self.ladder.to_json()})


Tables = TypeVar("Tables", bound=Preset | Ladder | AdaptiveQuality | ByteLimit)


def load_for_images(
    spec: str | os.PathLike[str], quality: float | None = None
) -> Preset | AdaptiveQuality:
    """`softjpeg.load_preset`, adapted to each image where the ladder says so.

    Raises:
        ValueError: no such file or name, not a preset, or a quality too few or too many.
    """
    loaded = load(spec)
    if isinstance(loaded, Ladder) and quality is not None:
        return at_quality(loaded, quality)
    return load_preset(spec, quality)


def at_quality(ladder: Ladder, quality: float) -> Preset | AdaptiveQuality:
    """The ladder's preset at a quality, adapted to each image where the ladder says so."""
    preset = ladder.at(quality)
    return preset if ladder.size_exponent == 1 else AdaptiveQuality(ladder, quality)


def storing(tables: Tables, **stored: Any) -> Tables:
    """The same tables, storing another part of the image.

    Args:
        tables: a preset, a ladder, or what has one.
        stored: `short_side` or `center`, as `Preset` has them.

    >>> storing(Preset.from_quality(50), center=0.9).center
    0.9
    """
    changed: Any = tables
    if isinstance(tables, Preset):
        changed = replace(tables, **stored)
    elif isinstance(tables, Ladder):
        changed = replace(tables, rungs=tuple(storing(rung, **stored) for rung in tables.rungs))
    else:
        changed = replace(changed, ladder=storing(changed.ladder, **stored))
    return cast("Tables", changed)


class _ScanBits:
    """What one image's scan costs along a ladder, from its coefficients, transformed once."""

    def __init__(self, ladder: Ladder, image: Image.Image, position: float) -> None:
        import torch

        from softjpeg.functional.transform import image_to_coefficients

        self.ladder, self.pixels = ladder, image.height * image.width
        self.image_size = (image.height, image.width)
        pixels = np.array(stored_picture(image, ladder.at_position(position)))
        if len(pixels) >= _STRIPS * _STRIP:
            pixels = pixels[np.arange(len(pixels)) // _STRIP % _EVERY == 0]
        self.size = (pixels.shape[0], pixels.shape[1])
        looked_at = torch.from_numpy(pixels).permute(2, 0, 1)
        self.coefficients = image_to_coefficients(looked_at, ladder.subsampling, rounding=True)

    def log_bpp(self, position: float) -> float:
        """Log of the bits per pixel of the image at a position of the ladder.

        Where another size is stored there, as many more bits as pixels.
        """
        import torch

        preset = self.ladder.at_position(position)
        tables = (preset.luma, preset.chroma, preset.chroma)
        indices = [
            (z / torch.from_numpy(table).float()).round_().clamp_(-1023, 1023).short().numpy()
            for z, table in zip(self.coefficients, tables, strict=True)
        ]
        bits = scan_bits(indices, size=self.size, subsampling=self.ladder.subsampling)
        there = stored_size(self.image_size, preset.short_side)
        shown = there[0] * there[1] / (self.size[0] * self.size[1])
        return math.log(bits * shown / self.pixels)
