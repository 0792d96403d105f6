"""How strongly an adapter acts on a file: a function of the file's own quantization tables."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from softjpeg.jpeg.info import read_info
from softjpeg.jpeg.markers import read_bytes


def luma_step(table: Any) -> float:
    """The mean base-2 logarithm of a table's steps; 0 for steps of 1, 8 at most.

    >>> luma_step(np.full((8, 8), 16))
    4.0
    """
    return float(np.log2(np.asarray(table, dtype=float)).mean())


def step_of(source: bytes | str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]) -> float:
    """The `luma_step` of a file, or of tables.

    Args:
        source: a file's bytes or path; or tables (8, 8), luma first, also by name as
            `softjpeg.jpeg.info.read_info` has them.

    Returns:
        0 for a file that is no JPEG.

    Raises:
        ValueError: a JPEG file that is damaged.
        OSError: the path cannot be read.

    >>> step_of(b"BM: a bitmap"), step_of([np.full((8, 8), 2)])
    (0.0, 1.0)
    """
    if isinstance(source, Mapping):
        return luma_step(next(iter(source.values())))
    if not isinstance(source, (bytes, bytearray, memoryview, str, os.PathLike)):
        return luma_step(source[0])
    data = read_bytes(source)  # type: ignore[arg-type]
    if data[:2] != b"\xff\xd8":
        return 0.0
    info = read_info(data)
    first = info.components[0]
    tables = [table for names, table in info.tables.items() if first in names.split()]
    if not tables:
        raise ValueError("data holds no quantization table for its first component")
    return luma_step(tables[0])


@dataclass(frozen=True)
class StrengthCurve:
    """Strength over `luma_step`: straight lines between points, and from (0, 0) to the first.

    Attributes:
        points: (step > 0, strength from 0 to 1), both rising; the last strength holds beyond.

    Raises:
        ValueError: a point out of its range or order.

    >>> curve = StrengthCurve(((2.0, 0.5), (4.0, 1.0)))
    >>> [curve.at(step) for step in (0, 1, 3, 7)]
    [0.0, 0.25, 0.75, 1.0]
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        points = tuple((float(step), float(strength)) for step, strength in self.points)
        object.__setattr__(self, "points", points)
        if not points:
            raise ValueError("strength must have at least one point, got none")
        for step, strength in points:
            if not (0 < step < math.inf and 0 <= strength <= 1):
                raise ValueError(
                    "strength must have points of a step above 0 and a strength from 0 to 1, got "
                    f"{(step, strength)}"
                )
        for low, high in pairwise(points):
            if not (low[0] < high[0] and low[1] <= high[1]):
                raise ValueError(f"strength must rise with the step, got {low} before {high}")

    def at(self, step: float) -> float:
        """The strength at a `luma_step`."""
        steps, strengths = zip((0.0, 0.0), *self.points, strict=True)
        return float(np.interp(step, steps, strengths))


def rising_choice(losses: Sequence[Sequence[float]]) -> list[int]:
    """For each row the column to take, columns never falling, of least sum.

    Args:
        losses: (rows, columns); rows from fine to coarse steps, columns from low to high strength.

    >>> rising_choice([[3, 1, 2], [1, 2, 3], [3, 2, 1]])
    [1, 1, 2]
    >>> rising_choice([[1, 0, 9], [1, 9, 0]])
    [1, 2]
    """
    table = np.asarray(losses, dtype=float)
    # Least sum of the rows so far where the last one takes a column; and at most that column.
    total, best = np.zeros(table.shape[1]), []
    for row in table:
        lowest = np.minimum.accumulate(total)
        # The lowest strength of equal ones.
        best.append([int(np.argmax(total[: k + 1] == lowest[k])) for k in range(len(row))])
        total = lowest + row
    column = int(total.argmin())
    chosen = [column]
    for before in best[:0:-1]:
        column = before[column]
        chosen.append(column)
    return chosen[::-1]
