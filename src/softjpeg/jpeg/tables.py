"""Quantization tables: Annex K, libjpeg's quality scaling, and what is a table.

A table is an 8×8 array of integers 1..255 in raster order (row = vertical frequency); zigzag order
appears only where a file format asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.common.brief import brief

Table = npt.NDArray[np.int64]

MAX_STEP = 65535
"""In a file that is extended sequential, with tables of 16 bits; 255 in a baseline file."""

ZIGZAG = np.array(
    sorted(range(64), key=lambda m: (m // 8 + m % 8, (m // 8 if (m // 8 + m % 8) % 2 else m % 8)))
)
"""``ZIGZAG[k]`` is the raster index of the k-th coefficient in zigzag order (T.81, figure A.6)."""

# fmt: off
ANNEX_K_LUMA: Table = np.array([
    [16, 11, 10, 16,  24,  40,  51,  61],
    [12, 12, 14, 19,  26,  58,  60,  55],
    [14, 13, 16, 24,  40,  57,  69,  56],
    [14, 17, 22, 29,  51,  87,  80,  62],
    [18, 22, 37, 56,  68, 109, 103,  77],
    [24, 35, 55, 64,  81, 104, 113,  92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103,  99],
])
ANNEX_K_CHROMA: Table = np.array([
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
])
# fmt: on


def validate_table(name: str, table: Any, most: int = 255) -> Table:
    """Return `table` as an (8, 8) int64 array, or refuse it.

    Args:
        name: what the error message calls the table.
        table: anything array-like of 64 integers 1..most, shape (8, 8), raster order.
        most: the largest step.

    Raises:
        ValueError: wrong shape, or a value that is not an integer 1..most; names the first one.

    >>> validate_table("luma", [[1] * 8] * 7 + [[1] * 7 + [300]])
    Traceback (most recent call last):
    ...
    ValueError: luma[7][7] must be an integer from 1 to 255, got 300
    """
    try:
        array = np.asarray(table)
    except ValueError as error:
        raise ValueError(f"{name} must have shape (8, 8), got ragged rows") from error
    if array.shape != (8, 8):
        raise ValueError(f"{name} must have shape (8, 8), got {array.shape}")
    # In a list one string or bool among numbers is to be named; an array has a type of its own.
    entries = array if hasattr(table, "dtype") else np.asarray(table, dtype=object)
    for (row, column), value in () if entries.dtype.kind in "iuf" else np.ndenumerate(entries):
        is_number = isinstance(value, (int, float, np.integer, np.floating))
        # Here, for no array of NumPy's holds 2**200.
        if not is_number or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(
                f"{name}[{row}][{column}] must be an integer from 1 to {most}, got {brief(value)}"
            )
    if array.dtype.kind not in "iuf":
        array = array.astype(np.float64)
    # A NaN fails every comparison, so the test is for what is allowed.
    good = (array >= 1) & (array <= most) & (array == np.floor(array))
    if not good.all():
        row, column = np.argwhere(~good)[0]
        value = array[row, column]
        raise ValueError(
            f"{name}[{row}][{column}] must be an integer from 1 to {most}, got {value}"
        )
    return array.astype(np.int64)


def quality_tables(quality: int) -> tuple[Table, Table]:
    """Annex K scaled to a quality 1..100, as libjpeg's ``jpeg_set_quality`` does (baseline).

    Returns:
        (luma, chroma), each (8, 8) int64, 1..255.

    Raises:
        ValueError: `quality` is not an integer 1..100.

    >>> luma, chroma = quality_tables(75)
    >>> luma[0].tolist()
    [8, 6, 5, 8, 12, 20, 26, 31]
    """
    if int(quality) != quality or not 1 <= quality <= 100:
        raise ValueError(f"quality must be an integer from 1 to 100, got {quality}")
    scale = 5000 // int(quality) if quality < 50 else 200 - 2 * int(quality)

    def scaled(table: Table) -> Table:
        return np.clip((table * scale + 50) // 100, 1, 255)

    return scaled(ANNEX_K_LUMA), scaled(ANNEX_K_CHROMA)


def from_zigzag(values: Sequence[int]) -> Table:
    """The (8, 8) table whose 64 entries stand in zigzag order.

    >>> from_zigzag(range(64))[0].tolist()
    [0, 1, 5, 6, 14, 15, 27, 28]
    """
    table = np.empty(64, dtype=np.int64)
    table[ZIGZAG] = values
    return table.reshape(8, 8)
