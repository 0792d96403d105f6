"""Where the blocks of a scan lie, as the C kernels take it."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, NamedTuple

_MAX_COMPONENTS = 4
_MAX_SIDE = 65535


class Layout(NamedTuple):
    """Where the blocks of a scan lie, as the kernels take it."""

    fields: Any
    """Address of the C structure."""
    shapes: tuple[tuple[int, int], ...]
    """Per component (rows, columns) of real blocks."""
    mcus: int
    blocks: int
    """Of all MCUs, dummy blocks included."""
    intervals: int
    """How many restart intervals there are."""


@functools.lru_cache(maxsize=64)
def layout_of(
    factors: tuple[tuple[int, int], ...],
    shapes: tuple[tuple[int, int], ...],
    mcus: tuple[int, int],
    restart_interval: int,
) -> Layout:
    """The fields of a `ScanLayout` for a kernel: 1 to 4 components.

    Args:
        factors: per component (H, V), its blocks in one MCU.
        shapes: per component (rows, columns) of blocks.
        mcus: rows and columns of MCUs.
        restart_interval: in MCUs; 0 = off.

    Raises:
        ValueError: other numbers than a scan can have.
    """
    pairs = all(len(pair) == 2 for pair in (mcus, *factors, *shapes))
    in_range = all(1 <= side <= _MAX_SIDE for side in mcus) and 0 <= restart_interval <= _MAX_SIDE
    fits = (
        pairs
        and len(factors) == len(shapes)
        and all(
            1 <= h <= 4 and 1 <= v <= 4 and 1 <= rows <= mcus[0] * v and 1 <= columns <= mcus[1] * h
            for (h, v), (rows, columns) in zip(factors, shapes, strict=False)
        )
    )
    if not (1 <= len(factors) <= _MAX_COMPONENTS and in_range and fits):
        numbers = (factors, shapes, mcus, restart_interval)
        raise ValueError(f"the layout must be that of a scan, got {numbers}")
    values = [len(factors), *mcus, restart_interval]
    for (h, v), (rows, columns) in zip(factors, shapes, strict=True):
        values += h, v, rows, columns
    count = mcus[0] * mcus[1]
    return Layout(
        fields=(ctypes.c_int32 * (4 + 4 * _MAX_COMPONENTS))(*values),
        shapes=shapes,
        mcus=count,
        blocks=count * sum(h * v for h, v in factors),
        intervals=-(-count // (restart_interval or count)),
    )
