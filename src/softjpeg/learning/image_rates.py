"""What files of some images cost, measured once: in bytes, and per frequency by entropy."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from softjpeg.codec.file_sizes import bits_per_pixel, equal_size_quality, file_bytes, rate_sample
from softjpeg.codec.image import encode
from softjpeg.codec.stored_size import stored_images
from softjpeg.common.image_sequence import Images, pixel_count, same_size_groups
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import quality_tables
from softjpeg.learning.bit_allocation import RateDistortion
from softjpeg.presets.preset import Preset

Tables = tuple[Tensor, Tensor]
"""(luma, chroma), each (8, 8)."""

QUALITIES = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 25, 30),
    *(35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 98, 100),
)
"""Of default JPEG, where rates or losses are measured over all of them."""

_CURVE_IMAGES = 256
_GROUP = 4
_BLOCKS = 10_000
_SAMPLED_IMAGES = 16


def default_tables(quality: int) -> Tables:
    """Annex K at a libjpeg quality 1..100, as tensors."""
    luma, chroma = quality_tables(quality)
    return torch.from_numpy(luma), torch.from_numpy(chroma)


class ImageRates:
    """Rates of one set of images in one subsampling and stored size.

    Args:
        images: uint8, (N, 3, H, W) or several (3, H, W) of any sizes.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        short_side, center: of the stored images, as `Preset` has them.

    Attributes:
        pixels: of an image at its own size, mean over the images: rates are per pixel of those.
        sample: up to 64 of the images, as they are stored, whose files are counted.

    >>> images = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    >>> rates = ImageRates(images, "4:2:0")
    >>> rates.bpp(default_tables(90)) > rates.bpp(default_tables(10))
    True
    """

    def __init__(
        self,
        images: Images,
        subsampling: Subsampling,
        short_side: int | None = None,
        center: float | None = None,
    ) -> None:
        images = images.cpu() if isinstance(images, Tensor) else images
        self.subsampling, self.short_side, self.center = subsampling, short_side, center
        self.pixels = pixel_count(images) / len(images)
        sample = rate_sample(images)
        self._sample_pixels = pixel_count(sample)
        self.sample = stored_images(sample, short_side, center)
        self._bpp: dict[bytes, float] = {}
        self._images = images[:: -(-len(images) // _CURVE_IMAGES)]

    @cached_property
    def curves(self) -> RateDistortion:
        """Distortion and entropy over the step, on up to 256 of the images."""
        images = self._images
        batches = [images[i : i + _GROUP] for i in range(0, len(images), _GROUP)]
        coefficients = (
            image_to_coefficients(group.float() / 255, self.subsampling, rounding=True)
            for batch in batches
            for _, group in same_size_groups(stored_images(batch, self.short_side, self.center))
        )
        return RateDistortion.measure_groups(coefficients, -(-_BLOCKS // len(batches)))

    def bpp(self, tables: Tables) -> float:
        """Bits per pixel of whole files with tables (8, 8), rounded, optimized Huffman."""
        luma, chroma = (t.round().long().numpy() for t in tables)
        # The same tables are asked about again and again, for several targets.
        key = luma.tobytes() + chroma.tobytes()
        if key not in self._bpp:
            preset = Preset(luma, chroma, subsampling=self.subsampling)
            self._bpp[key] = bits_per_pixel(file_bytes(self.sample, preset), self._sample_pixels)
        return self._bpp[key]

    def sampled_bpp(self, tables: Tables, hardness: float) -> float:
        """The same of up to 16 files whose coefficients are drawn from the CPMF of h = αq²."""
        luma, chroma = (t.numpy() for t in tables)
        preset = Preset(luma, chroma, np.full((2, 8, 8), hardness), self.subsampling)
        sample = self.sample[:_SAMPLED_IMAGES]
        files = [encode(image, preset, "probabilistic", seed=i) for i, image in enumerate(sample)]
        pixels = self._sample_pixels * pixel_count(sample) / pixel_count(self.sample)
        return bits_per_pixel(sum(map(len, files)), pixels)

    def default_reaching(self, target_bpp: float) -> Tables:
        """Default tables of the lowest quality that costs no less than a target."""
        quality = equal_size_quality(target_bpp, lambda q: self.bpp(default_tables(q)))
        return default_tables(quality)
