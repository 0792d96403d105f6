"""Which components share a Huffman table: each one costs header bytes, each saves scan bits.

A baseline scan has at most two tables for DC and two for AC (T.81 table B.5), and any component may
use either. In a small file a table's own bytes are often more than it saves.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from softjpeg.jpeg.entropy.huffman import (
    HuffmanTable,
    optimal_codes,
    optimal_tables,
    table_of_bytes,
)
from softjpeg.jpeg.entropy.symbols import Ints


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
    return optimal_sharings(counts[:, None], table_of)[0]


def optimal_sharings(counts: Ints, table_of: Sequence[int]) -> list[TableSharing]:
    """`optimal_sharing` of each class: counts (components, classes, 256)."""
    classes = counts.shape[1]
    sums = np.zeros((max(table_of) + 1, classes, 256), dtype=np.int64)
    for component_counts, number in zip(counts, table_of, strict=True):
        sums[number] += component_counts
    tables = [table for table, _ in optimal_tables(sums.reshape(-1, 256))]
    return [
        TableSharing(tuple(tables[index::classes]), tuple(table_of)) for index in range(classes)
    ]


def smallest_sharing(counts: Ints) -> TableSharing:
    """The sharing whose tables and codes together take the fewest bytes.

    Args:
        counts: shape (components, 256): how often each symbol of one class occurs.

    >>> few = np.zeros((3, 256), dtype=np.int64)
    >>> few[0, 0], few[1:, 1] = 9, 9
    >>> smallest_sharing(few).table_of, smallest_sharing(few * 1000).table_of
    ((0, 0, 0), (0, 1, 1))
    """
    components = len(counts)
    # A set of components is a number, whose bit c says whether component c is in it.
    everything = (1 << components) - 1
    members = np.arange(everything + 1)[:, None] >> np.arange(components) & 1
    best = optimal_codes(members @ counts)
    # A byte names the table.
    bits = [8 * (1 + len(table)) + code_bits for table, code_bits in best]
    bits[0] = 0  # Nobody's table is not written.

    ways = [(0, *way) for way in itertools.product((0, 1), repeat=components - 1)]
    second = [sum(number << component for component, number in enumerate(way)) for way in ways]
    way, others = min(
        zip(ways, second, strict=True), key=lambda pair: bits[everything - pair[1]] + bits[pair[1]]
    )
    tables = [best[everything - others][0], best[others][0]][: max(way) + 1]
    return TableSharing(tuple(map(table_of_bytes, tables)), way)
