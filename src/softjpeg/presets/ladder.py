"""`Ladder`: presets over rate, so that one number from 1 to 100 says how large files are.

Quality q means the size that default JPEG has at its quality q, when coefficients are rounded (mode
"hard"). Both ends are libjpeg's own, where there is nothing left to learn: all steps 255 at quality
1, all steps 1 at quality 100.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from softjpeg.common.bounds import MAX_LADDER_BYTES
from softjpeg.common.brief import brief
from softjpeg.common.files import write_atomically
from softjpeg.common.versioned_json import check_length, parse
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.built_in import built_in_text
from softjpeg.presets.interpolation import between
from softjpeg.presets.preset import Preset

FORMAT = "softjpeg-ladder"
VERSION = 1
_FIELDS = {"format", "version", "default_bpp", "bpp", "rungs", "provenance"}
_OPTIONAL = {"scan_bpp", "size_exponent"}

Curve = tuple[tuple[float, float], ...]
"""Points (x, bits per pixel), both rising."""


@dataclass(frozen=True, eq=False)
class Ladder:
    """Presets of one subsampling, from the smallest files to the largest.

    Between two rungs the tables are interpolated in log q, and so is the shorter side of stored
    images where both have one; else it is the nearer rung's. A *position* p counts rungs from 1; 0
    is all steps 255, and one past the last is all steps 1.

    Attributes:
        rungs: at least one preset.
        bpp: (position, bits per pixel of whole files on the learning images), from 0 to the last.
        default_bpp: (quality, bits per pixel) of default JPEG on them, from 1 to 100.
        provenance: anything JSON can hold.
        scan_bpp: (position, bits per pixel of scans on the learning images); empty where
            `size_exponent` is 1.
        size_exponent: γ of `adapted` from 0, all scans of one size, to 1, all of one quality.

    Raises:
        ValueError: a value out of its range, named with its path.

    >>> rung = Preset.from_quality(50)
    >>> ladder = Ladder((rung,), ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0)))
    >>> bool((ladder.at(50).luma == rung.luma).all())
    True
    """

    rungs: tuple[Preset, ...]
    bpp: Curve
    default_bpp: Curve
    provenance: Mapping[str, Any] = field(default_factory=dict)
    scan_bpp: Curve = ()
    size_exponent: float = 1.0

    def __post_init__(self) -> None:
        if not self.rungs:
            raise ValueError("rungs must hold at least one preset, got none")
        object.__setattr__(self, "rungs", tuple(self.rungs))
        for i, rung in enumerate(self.rungs):
            if rung.subsampling != self.subsampling:
                raise ValueError(
                    f"rungs[{i}].subsampling must be that of the first rung, "
                    f"{self.subsampling}, got {rung.subsampling}"
                )
        for name, ends in (("bpp", (0, len(self.rungs) + 1)), ("default_bpp", (1, 100))):
            object.__setattr__(self, name, _curve(name, getattr(self, name), ends))
        exponent = self.size_exponent
        if isinstance(exponent, bool) or not isinstance(exponent, (int, float)):
            raise ValueError(f"size_exponent must be a number, got {brief(exponent)}")
        if not 0 <= exponent <= 1:
            raise ValueError(f"size_exponent must be from 0 to 1, got {self.size_exponent}")
        if self.size_exponent < 1:
            curve = _curve("scan_bpp", self.scan_bpp, (0, len(self.rungs) + 1))
            object.__setattr__(self, "scan_bpp", curve)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ladder) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.rungs, self.bpp, self.default_bpp))

    @property
    def subsampling(self) -> Subsampling:
        """Of every rung."""
        return self.rungs[0].subsampling

    def at(self, quality: float) -> Preset:
        """The preset whose files are as large as default JPEG's at a quality 1..100.

        That holds on the learning images; on others, both sizes change together.
        """
        preset = self.at_position(self.position(quality))
        return replace(preset, provenance={**self.provenance, "quality": quality})

    def position(self, quality: float) -> float:
        """The position of a quality 1..100."""
        if not 1 <= quality <= 100:
            raise ValueError(f"quality must be from 1 to 100, got {quality}")
        qualities, rates = zip(*self.default_bpp, strict=True)
        target = math.exp(np.interp(quality, qualities, np.log(rates)))
        lowest, highest = self.bpp[0][1], self.bpp[-1][1]
        return self._position(min(max(target, lowest), highest))

    def at_bpp(self, bpp: float) -> Preset:
        """The preset of so many bits per pixel on the learning images."""
        lowest, highest = self.bpp[0][1], self.bpp[-1][1]
        if not lowest <= bpp <= highest:
            reach = f"from {lowest:.3f} to {highest:.3f}"
            raise ValueError(f"bpp must be {reach} on this ladder, got {bpp}")
        preset = self.at_position(self._position(bpp))
        return replace(preset, provenance={**self.provenance, "bpp": round(bpp, 4)})

    def _position(self, bpp: float) -> float:
        positions, rates = zip(*self.bpp, strict=True)
        return float(np.interp(math.log(bpp), np.log(rates), positions))

    def at_position(self, position: float) -> Preset:
        """The preset at a position from 0 to ``len(rungs) + 1``, as the class counts them."""
        last = len(self.rungs) + 1
        if not 0 <= position <= last:
            raise ValueError(f"position must be from 0 to {last}, got {position}")
        steps = self._steps
        low = min(int(position), last - 1)
        share = position - low
        # What lies beyond the rungs has the distortion of the last one.
        rung = self.rungs[min(max(low + round(share), 1), last - 1) - 1]
        return between(steps[low], steps[low + 1], share, rung)

    @cached_property
    def _steps(self) -> list[Preset]:
        """The rungs between both ends."""
        first, end = self.rungs[0], self.rungs[-1]
        flat = [np.full((8, 8), q) for q in (255, 1)]
        return [
            replace(first, luma=flat[0], chroma=flat[0]),
            *self.rungs,
            replace(end, luma=flat[1], chroma=flat[1]),
        ]

    def to_json(self) -> str:
        """The ladder as text, its rungs as presets are written."""
        curves = [
            f'  "{name}": [\n' + ",\n".join("    " + json.dumps(p) for p in points) + "\n  ]"
            for name, points in (("default_bpp", self.default_bpp), ("bpp", self.bpp))
        ]
        if self.size_exponent < 1:
            points = ",\n".join("    " + json.dumps(p) for p in self.scan_bpp)
            curves += [
                f'  "scan_bpp": [\n{points}\n  ]',
                f'  "size_exponent": {self.size_exponent}',
            ]
        rungs = ",\n".join(rung.to_json().rstrip("\n") for rung in self.rungs)
        provenance = json.dumps(
            dict(self.provenance), indent=2, sort_keys=True, allow_nan=False
        ).replace("\n", "\n  ")
        parts = [f'  "format": "{FORMAT}"', f'  "version": {VERSION}', *curves]
        parts += ['  "rungs": [\n    ' + rungs.replace("\n", "\n    ") + "\n  ]"]
        return "{\n" + ",\n".join([*parts, f'  "provenance": {provenance}']) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, name: str = "ladder") -> Ladder:
        """Parse `to_json`'s text.

        Raises:
            ValueError: not JSON, a field missing, unknown or out of range; one sentence that names
                `name` and the path of the bad value.
        """
        body = parse(text, name, "ladder", VERSION, _FIELDS, _OPTIONAL)
        if not isinstance(body["rungs"], list):
            raise ValueError(f"{name}: rungs must be a list of presets, got {brief(body['rungs'])}")
        rungs = tuple(
            Preset.from_json(json.dumps(rung), name=f"{name}: rungs[{i}]")
            for i, rung in enumerate(body["rungs"])
        )
        try:
            optional = {key: body[key] for key in _OPTIONAL & body.keys()}
            ladder = cls(rungs, body["bpp"], body["default_bpp"], body["provenance"], **optional)
            check_length(text, ladder.to_json, MAX_LADDER_BYTES)
            return ladder
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the ladder to a file, all of it or none."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def load(cls, spec: str | os.PathLike[str]) -> Ladder:
        """Read a ladder: a file, or a built-in one by its name.

        Raises:
            ValueError: no such file or name, or it is no ladder.
        """
        return cls.from_json(*built_in_text(spec, "ladder"))


def _curve(name: str, points: Any, ends: tuple[float, float]) -> Curve:
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < 2:
        raise ValueError(
            f"{name} must be a list of at least two pairs of numbers, got {brief(points)}"
        )
    for i, (x, rate) in enumerate(array):
        if not (math.isfinite(x) and math.isfinite(rate) and rate > 0):
            raise ValueError(f"{name}[{i}] must be finite and its rate positive, got {[x, rate]}")
    for i, ((x, rate), (x_next, rate_next)) in enumerate(pairwise(array)):
        if x_next <= x or rate_next < rate:
            raise ValueError(f"{name}[{i + 1}] must not be below {name}[{i}]: {array[i + 1]}")
    if (array[0, 0], array[-1, 0]) != ends:
        raise ValueError(
            f"{name} must go from {ends[0]} to {ends[1]}, got {array[0, 0]:g} to {array[-1, 0]:g}"
        )
    return tuple((float(x), float(rate)) for x, rate in array)
