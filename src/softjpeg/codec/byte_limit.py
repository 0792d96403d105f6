"""At most so many bytes for each image: the highest quality whose file fits."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from softjpeg.codec.image import Mode, encode
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import quality_tables
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset


class TooLargeError(ValueError):
    """No quality's file is small enough."""


@dataclass(frozen=True, eq=False)
class ByteLimit:
    """Presets of all qualities, and how many bytes a file may have.

    Attributes:
        most: bytes of a file, at least 1.
        ladder: whose qualities are tried; one preset stands for default JPEG with all that it has
            beside its tables.
        highest: quality 1..100, tried first.

    Raises:
        ValueError: a number out of its range.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    >>> data, quality = ByteLimit(3000, Preset.from_quality(50)).encoded(noise)
    >>> len(data) <= 3000 < len(encode(noise, Preset.from_quality(quality + 1)))
    True
    """

    most: int
    ladder: Ladder | Preset
    highest: int = 100

    def __post_init__(self) -> None:
        if not self.most >= 1:
            raise ValueError(f"most must be at least 1 byte, got {self.most}")
        if not 1 <= self.highest <= 100:
            raise ValueError(f"highest must be a quality from 1 to 100, got {self.highest}")

    @property
    def subsampling(self) -> Subsampling:
        """Of every quality."""
        return self.ladder.subsampling

    def at(self, quality: int) -> Preset:
        """The preset of a quality 1..100."""
        if isinstance(self.ladder, Ladder):
            return self.ladder.at(quality)
        luma, chroma = quality_tables(quality)
        return replace(self.ladder, luma=luma, chroma=chroma)

    def encoded(
        self, image: Any, mode: Mode = "hard", seed: int | None = None, **options: Any
    ) -> tuple[bytes, int]:
        """The file of the highest quality found that fits, and that quality.

        Files grow with the quality but for rare bytes, so that halving finds it: 8 files at most.

        Args:
            image: as `softjpeg.encode` takes it.
            mode, seed, options: of `softjpeg.encode`.

        Raises:
            TooLargeError: a ValueError: not even quality 1 fits.
            ValueError: for the reasons of `softjpeg.encode`.
        """
        found, low, high, quality = None, 1, self.highest, self.highest
        while low <= high:
            data = encode(image, self.at(quality), mode, seed, **options)
            if len(data) <= self.most:
                found, low = (data, quality), quality + 1
            else:
                high = quality - 1
            quality = (low + high) // 2
        if found is None:
            raise TooLargeError(
                f"no quality has at most {self.most:,} bytes: quality 1 has {len(data):,}"
            )
        return found

    def to_json(self) -> str:
        """Everything that decides the files."""
        limit = {"most": self.most, "highest": self.highest}
        return json.dumps({**limit, "ladder": self.ladder.to_json()})
