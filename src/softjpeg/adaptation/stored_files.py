"""Which files a network is to learn to read: one preset's, or those of a range of qualities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softjpeg.adaptation.strength import luma_step
from softjpeg.codec.image import MODES, Mode
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

_MEASURED = 7
"""Qualities of a range at which strengths are measured."""


@dataclass(frozen=True)
class StoredFiles:
    """The files.

    Attributes:
        tables: a preset for all of them, a ladder, or None for default JPEG, 4:2:0.
        qualities: (lowest, highest) 1..100 of the ladder or of default JPEG, drawn evenly.
        mode: that they are written in, as `softjpeg.encode` takes it.

    Raises:
        ValueError: a quality out of its range, an unknown mode, or "rdo" without a preset.

    >>> StoredFiles().name
    'default JPEG, qualities 6 to 90'
    >>> [quality for quality, _ in StoredFiles().measured()]
    [90, 83, 72, 52, 31, 18, 6]
    """

    tables: Preset | Ladder | None = None
    qualities: tuple[int, int] = (6, 90)
    mode: Mode = "hard"

    def __post_init__(self) -> None:
        low, high = self.qualities
        if not 1 <= low <= high <= 100:
            raise ValueError(f"qualities must be (lowest, highest) in 1..100, got {(low, high)}")
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if self.mode != "hard" and self.tables is None:
            raise ValueError(f"mode {self.mode!r} needs a preset: default JPEG is written in hard")

    @property
    def name(self) -> str:
        """In words."""
        if isinstance(self.tables, Preset):
            name = "one preset"
        else:
            kind = "default JPEG" if self.tables is None else "a ladder"
            name = f"{kind}, qualities {self.qualities[0]} to {self.qualities[1]}"
        return name if self.mode == "hard" else f"{name}, mode {self.mode}"

    def at(self, quality: int) -> Preset:
        """The preset of a quality; a single preset has but one."""
        if isinstance(self.tables, Preset):
            return self.tables
        return Preset.from_quality(quality) if self.tables is None else self.tables.at(quality)

    def drawn(self, random: np.random.Generator) -> Preset:
        """A preset to write a file with."""
        low, high = self.qualities
        return self.at(int(random.integers(low, high + 1)))

    def measured(self) -> list[tuple[int | None, Preset]]:
        """Qualities about evenly apart in `luma_step`, from fine to coarse, with their presets."""
        if isinstance(self.tables, Preset):
            return [(None, self.tables)]
        low, high = self.qualities
        presets = [(quality, self.at(quality)) for quality in range(high, low - 1, -1)]
        steps = np.array([luma_step(preset.luma) for _, preset in presets])
        wanted = np.linspace(steps[0], steps[-1], min(_MEASURED, len(steps)))
        places = sorted({int(np.abs(steps - step).argmin()) for step in wanted})
        # Two qualities of one step would be two points of a curve at one place.
        rising = [i for i in places if steps[i] > 0 and (i == 0 or steps[i] > steps[:i].max())]
        return [presets[i] for i in rising]
