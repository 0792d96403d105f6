"""A quality for each image, by how large its file would be: without asking any network.

Busy images cost many bits and hide errors well; plain ones cost few and show them. So at one
nominal quality an image of b bits of scan, where the mean is B, gets the quality at which it has
``B (b/B)^γ`` bits: γ = 1 is one quality for all, γ = 0 one size for all. γ is learned.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from softjpeg.codec.file_sizes import bits_per_pixel
from softjpeg.codec.image import encode
from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load, load_preset
from softjpeg.presets.preset import Preset

_HALVINGS = 7


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
    positions, rates = zip(*ladder.scan_bpp, strict=True)
    mean = math.exp(np.interp(nominal, positions, np.log(rates)))
    wanted = mean * (_scan_bpp(ladder.at_position(nominal), image) / mean) ** ladder.size_exponent
    low, high = 0.0, float(len(ladder.rungs) + 1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _scan_bpp(ladder.at_position(middle), image) < wanted:
            low = middle
        else:
            high = middle
    return ladder.at_position((low + high) / 2)


@dataclass(frozen=True, eq=False)
class AdaptiveQuality:
    """A ladder at a nominal quality, to encode with: `softjpeg.encode` calls it with the image.

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


def _scan_bpp(preset: Preset, image: Image.Image) -> float:
    size = scan_bytes(encode(image, preset, metadata=False))
    return bits_per_pixel(size, image.height * image.width)
