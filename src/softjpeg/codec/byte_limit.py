"""At most so many bytes for each image: the highest quality whose file fits."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from softjpeg.codec.image import Mode, encode
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import quality_tables
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.loading import load
from softjpeg.presets.preset import Preset

_SLOPE = 0.5
"""How fast files shrink with larger steps, in log over log, while the size of one is known."""
_GUESSES = 4
"""Files that are written where they are expected to fit; what is open after them is halved."""


class TooLargeError(ValueError):
    """No quality's file is small enough."""


@dataclass(frozen=True, eq=False)
class ByteLimit:
    """Presets of all qualities, and how many bytes a file may have.

    Attributes:
        most: bytes of a file, at least 1.
        ladder: whose qualities are tried; one preset stands for default JPEG with all that it has
            beside its tables.
        highest: quality 1..100 that is tried.

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

        Files grow with the quality but for rare bytes: some four are written.

        Args:
            image: as `softjpeg.encode` takes it.
            mode, seed, options: of `softjpeg.encode`.

        Raises:
            TooLargeError: a ValueError: not even quality 1 fits.
            ValueError: for the reasons of `softjpeg.encode`.
        """
        return self.chosen(lambda preset: encode(image, preset, mode, seed, **options))

    def chosen(self, write: Callable[[Preset], bytes]) -> tuple[bytes, int]:
        """The same of whatever writes a file with a preset.

        Raises:
            TooLargeError: not even quality 1 fits.
        """
        files: dict[int, bytes] = {}

        def size(quality: int) -> int:
            files[quality] = write(self.at(quality))
            return len(files[quality])

        quality = _highest_within(size, self.most, self.highest)
        if not quality:
            raise TooLargeError(
                f"no quality has at most {self.most:,} bytes: quality 1 has {len(files[1]):,}"
            )
        return files[quality], quality

    def to_json(self) -> str:
        """Everything that decides the files."""
        limit = {"most": self.most, "highest": self.highest}
        return json.dumps({**limit, "ladder": self.ladder.to_json()})


def encode_choosing(
    image: Any,
    tables: Preset | Callable[[Any], Preset] | ByteLimit,
    mode: Mode = "hard",
    seed: int | None = None,
    **options: Any,
) -> tuple[bytes, int | None]:
    """An image's file, and the quality where a limit of bytes has chosen it.

    Args:
        image, mode, seed, options: of `softjpeg.encode`.
        tables: a preset, for all images or for each, or a limit.

    >>> import numpy as np
    >>> encode_choosing(np.zeros((8, 8), np.uint8), Preset.from_quality(50))[1] is None
    True
    """
    if isinstance(tables, ByteLimit):
        return tables.encoded(image, mode, seed, **options)
    return encode(image, tables, mode, seed, **options), None


def load_limit(most: int, spec: str | os.PathLike[str], highest: int | None = None) -> ByteLimit:
    """So many bytes for each file, of a ladder's qualities or of default JPEG's.

    Args:
        most: bytes of a file.
        spec: a ladder's file or name, or "default".
        highest: quality; None for 100.

    Raises:
        ValueError: no such file or name, a single preset, or a number out of its range.
    """
    ladder = Preset.from_quality(50) if spec == "default" else load(spec)
    if spec != "default" and isinstance(ladder, Preset):
        raise ValueError(
            f"{spec} is one preset: a limit of bytes chooses among a ladder's or default's"
        )
    return ByteLimit(most, ladder, 100 if highest is None else highest)


def _highest_within(size: Callable[[int], int], most: int, highest: int) -> int:
    """The quality that is within and whose next is not; 0 where 1, asked last, is not."""
    # (log of the scale of the tables' steps, log of the size) on either side of the limit.
    fits: tuple[float, float] | None = None
    exceeds: tuple[float, float] | None = None
    low, high, asked = 0, highest + 1, 0
    # Where a highest quality is asked for, it is expected to fit.
    quality = highest if highest < 100 else 50
    while True:
        found = size(quality)
        asked += 1
        point = _log_scale(quality), math.log(found)
        if found <= most:
            low, fits = quality, point
        else:
            high, exceeds = quality, point
        if high - low <= 1:
            return low
        if asked > _GUESSES:
            quality = (low + high) // 2
            continue
        wanted = _expected(math.log(most), fits, exceeds)
        quality = next((q for q in range(high - 1, low, -1) if _log_scale(q) >= wanted), low + 1)


def _expected(
    log_size: float, fits: tuple[float, float] | None, exceeds: tuple[float, float] | None
) -> float:
    """The log of the scale at which a file is expected to have so many bytes."""
    scale, there = fits or exceeds or (0.0, 0.0)
    slope = _SLOPE
    if fits and exceeds:
        slope = (exceeds[1] - fits[1]) / (fits[0] - exceeds[0])
    return scale + (there - log_size) / slope


def _log_scale(quality: int) -> float:
    """Of libjpeg's steps, in percent of those of quality 50."""
    return math.log(5000 / quality if quality < 50 else max(200 - 2 * quality, 1))
