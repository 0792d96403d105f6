"""Which quantization tables a frame's components have, and which of them are written."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from softjpeg.jpeg.tables import MAX_STEP, Table, validate_table


def tables_of_components(tables: Any, components: int) -> tuple[Table, ...]:
    """A table for each component: of two, the second is for Cb and Cr.

    Args:
        tables: (8, 8) or a list of one for gray; two or three (8, 8) for colour.
        components: 1 or 3.

    Raises:
        ValueError: another number of tables, or one that is no table; it is named.

    >>> luma, chroma = np.full((8, 8), 1), np.full((8, 8), 2)
    >>> [int(table[0, 0]) for table in tables_of_components([luma, chroma], 3)]
    [1, 2, 2]
    """
    listed = [tables] if len(tables) == 8 else list(tables)
    wanted = "1 table for gray" if components == 1 else "2 or 3 tables for colour"
    if len(listed) not in ((1,) if components == 1 else (2, 3)):
        raise ValueError(f"tables must hold {wanted}, got {len(listed)}")
    valid = [_valid_table(f"tables[{index}]", table) for index, table in enumerate(listed)]
    return tuple(valid[min(index, len(valid) - 1)] for index in range(components))


def _valid_table(name: str, table: Any) -> Table:
    if isinstance(table, np.ndarray) and table.dtype == np.int64 and table.shape == (8, 8):
        return _known_table(name, table.tobytes())
    return validate_table(name, table, MAX_STEP)


@functools.lru_cache(maxsize=64)
def _known_table(name: str, steps: bytes) -> Table:
    table = validate_table(name, np.frombuffer(steps, dtype=np.int64).reshape(8, 8), MAX_STEP)
    table.flags.writeable = False
    return table


def distinct_tables(tables: Sequence[Table], compact: bool) -> tuple[list[Table], list[int]]:
    """The quantization tables to write and, per component, which of them it uses.

    If not compact, the first component's table is apart even from an equal one, as libjpeg has it.

    >>> ones = np.ones((8, 8), dtype=np.int64)
    >>> [distinct_tables([ones] * 3, compact)[1] for compact in (True, False)]
    [[0, 0, 0], [0, 1, 1]]
    """
    written, table_of = [tables[0]], [0]
    for table in tables[1:]:
        candidates = range(0 if compact else 1, len(written))
        equal = [number for number in candidates if np.array_equal(written[number], table)]
        table_of.append(equal[0] if equal else len(written))
        if not equal:
            written.append(table)
    return written, table_of
