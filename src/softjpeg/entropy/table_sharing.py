"""Which components share a Huffman table: each one costs header bytes, each saves scan bits.

A baseline scan has at most two tables for DC and two for AC (T.81 table B.5), and any component may
use either. In a small file a table's own bytes are often more than it saves.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from softjpeg.entropy.huffman import MAX_CODE_LENGTH, HuffmanTable, code_lengths, optimal_table
from softjpeg.entropy.scan import Ints


class TableSharing(NamedTuple):
    """The tables of one class, DC or AC, and which of them codes each component."""

    tables: tuple[HuffmanTable, ...]
    table_of: tuple[int, ...]

    @property
    def of_components(self) -> tuple[HuffmanTable, ...]:
        """Per component its table."""
        return tuple(self.tables[number] for number in self.table_of)


def optimal_sharing(counts: Ints, table_of: Sequence[int]) -> TableSharing:
    """Optimal tables for components that share them in a given way.

    Args:
        counts: shape (components, 256): how often each symbol of one class occurs.
        table_of: per component the number of its table, 0 first.
    """
    groups = [
        [component for component, own in enumerate(table_of) if own == number]
        for number in range(max(table_of) + 1)
    ]
    tables = tuple(optimal_table(counts[group].sum(axis=0)) for group in groups)
    return TableSharing(tables, tuple(table_of))


def smallest_sharing(counts: Ints) -> TableSharing:
    """The sharing whose tables and codes together take the fewest bytes.

    Args:
        counts: shape (components, 256): how often each symbol of one class occurs.

    >>> import numpy as np
    >>> few = np.zeros((3, 256), dtype=np.int64)
    >>> few[0, 0], few[1:, 1] = 9, 9
    >>> smallest_sharing(few).table_of, smallest_sharing(few * 1000).table_of
    ((0, 0, 0), (0, 1, 1))
    """
    ways = itertools.product((0,), *[(0, 1)] * (len(counts) - 1))
    return min((optimal_sharing(counts, way) for way in ways), key=lambda way: _bits(way, counts))


def _bits(sharing: TableSharing, counts: Ints) -> int:
    """Bits of the tables in a DHT segment and of all codes."""
    header = sum(1 + MAX_CODE_LENGTH + len(table.values) for table in sharing.tables)
    lengths = [code_lengths(table) for table in sharing.of_components]
    return 8 * header + sum(int(own @ length) for own, length in zip(counts, lengths, strict=True))
