"""Huffman tables: the standard ones of T.81 Annex K.3, canonical codes, optimal tables.

A table is what a DHT segment holds: BITS, the number of codes of each length 1..16, and HUFFVAL,
the symbols in order of increasing code. Symbols are bytes 0..255: for AC coefficients run/size
(run of zeros in the high four bits, size of the coefficient in the low four), for DC the size.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available

MAX_CODE_LENGTH = 16
_RESERVED = 256  # Holds the all-ones code, which no symbol may have.


class HuffmanTable(NamedTuple):
    """BITS (16 counts) and HUFFVAL (as many symbols 0..255 as the counts add up to)."""

    bits: tuple[int, ...]
    values: tuple[int, ...]


def _standard_ac(bits: tuple[int, ...], head: str) -> HuffmanTable:
    # Annex K gives the rarest symbols, which all have 16 bits, in ascending order.
    first = tuple(bytes.fromhex(head))
    every = {0x00, 0xF0} | {run << 4 | size for run in range(16) for size in range(1, 11)}
    return HuffmanTable(bits, first + tuple(sorted(every - set(first))))


_DC_LUMA = HuffmanTable((0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0), tuple(range(12)))
_DC_CHROMA = HuffmanTable((0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0), tuple(range(12)))
_AC_LUMA = _standard_ac(
    (0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125),
    "01 02 03 00 04 11 05 12 21 31 41 06 13 51 61 07 22 71 14 32 81 91 A1 08 23 42 B1 C1 15 52 D1"
    "F0 24 33 62 72 82",
)
_AC_CHROMA = _standard_ac(
    (0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119),
    "00 01 02 03 11 04 05 21 31 06 12 41 51 07 61 71 13 22 32 81 08 14 42 91 A1 B1 C1 09 23 33 52"
    "F0 15 62 72 D1 0A 16 24 34 E1 25 F1",
)
STANDARD_TABLES = (_DC_LUMA, _AC_LUMA, _DC_CHROMA, _AC_CHROMA)
"""The tables of T.81 K.3 in the order DC luma, AC luma, DC chroma, AC chroma."""


def table_bytes(table: HuffmanTable) -> bytes:
    """BITS and HUFFVAL as a DHT segment holds them.

    >>> table_bytes(HuffmanTable((1,) + (0,) * 15, (7,))).hex()
    '0100000000000000000000000000000007'
    """
    return bytes(table.bits) + bytes(table.values)


def table_of_bytes(data: bytes) -> HuffmanTable:
    """Inverse of `table_bytes`."""
    return HuffmanTable(tuple(data[:MAX_CODE_LENGTH]), tuple(data[MAX_CODE_LENGTH:]))


def code_lengths(table: HuffmanTable) -> npt.NDArray[np.int64]:
    """Length in bits of every symbol's code, shape (256,) int64; 0 for a symbol without a code.

    >>> code_lengths(STANDARD_TABLES[1])[[0x00, 0x01, 0xF0, 0xFA]].tolist()
    [4, 2, 11, 16]
    """
    lengths = np.zeros(256, dtype=np.int64)
    lengths[list(table.values)] = np.repeat(np.arange(1, MAX_CODE_LENGTH + 1), table.bits)
    return lengths


def codes(table: HuffmanTable) -> npt.NDArray[np.int64]:
    """Every symbol's code, shape (256,) int64, right-aligned; 0 for a symbol without a code.

    >>> [f"{code:b}" for code in codes(STANDARD_TABLES[1])[[0x00, 0xF0]]]
    ['1010', '11111111001']
    """
    symbols = list(table.values)
    unused = MAX_CODE_LENGTH - code_lengths(table)[symbols]
    # A code of length L owns 2^(16 - L) of the 16-bit words; codes own consecutive runs of them.
    owned = 1 << unused
    result = np.zeros(256, dtype=np.int64)
    result[symbols] = (np.cumsum(owned) - owned) >> unused
    return result


def optimal_table(counts: Any) -> HuffmanTable:
    """The best table for given symbol counts with codes of at most 16 bits (T.81 K.2).

    Ties are broken towards the larger symbol, so the table is the one libjpeg writes when asked to
    optimize. The all-ones code stays free.

    Args:
        counts: shape (256,), non-negative integers: how often each symbol occurs.

    Returns:
        A table with a code for every symbol that occurs and for no other.

    >>> counts = np.zeros(256, dtype=np.int64)
    >>> counts[[0, 1, 17]] = 5, 9, 1
    >>> table = optimal_table(counts)
    >>> table.values, code_lengths(table)[[0, 1, 17]].tolist()
    ((1, 0, 17), [2, 1, 3])
    """
    return optimal_tables(np.asarray(counts)[None])[0][0]


def optimal_tables(counts: Any) -> list[tuple[HuffmanTable, int]]:
    """`optimal_table` of each row of counts (n, 256), and the bits that all its codes take.

    >>> counts = np.zeros((1, 256), dtype=np.int64)
    >>> counts[0, [0, 1, 17]] = 5, 9, 1
    >>> [bits for _, bits in optimal_tables(counts)]
    [22]
    """
    return [(table_of_bytes(table), bits) for table, bits in optimal_codes(counts)]


def optimal_codes(counts: Any) -> list[tuple[bytes, int]]:
    """`optimal_tables` with each table as `table_bytes`."""
    compiled = kernel.optimal_tables(counts) if is_available("_coder") else None
    if compiled is not None:
        return compiled
    tables = [python_optimal_table(row) for row in counts]
    bits = [int(row @ code_lengths(table)) for row, table in zip(counts, tables, strict=True)]
    return list(zip(map(table_bytes, tables), bits, strict=True))


def python_optimal_table(counts: Any) -> HuffmanTable:
    """What `optimal_table` is defined as."""
    occurring = np.flatnonzero(counts)
    labels = [*occurring.tolist(), _RESERVED]
    frequencies = [*np.asarray(counts)[occurring].tolist(), 1]
    depths = _tree_depths(labels, frequencies)

    histogram = [0] * (max(depths) + 2 + MAX_CODE_LENGTH)
    for depth in depths:
        histogram[depth] += 1
    _limit_lengths(histogram)
    bits = histogram[1 : MAX_CODE_LENGTH + 1]
    if len(labels) > 1:
        longest = max(length for length, count in enumerate(bits) if count)
        bits[longest] -= 1

    by_depth = sorted(zip(depths[:-1], labels[:-1], strict=True))
    return HuffmanTable(tuple(bits), tuple(symbol for _, symbol in by_depth))


def _tree_depths(labels: list[int], frequencies: list[int]) -> list[int]:
    """Depth of every leaf in the Huffman tree, whose nodes carry their rarest child's label."""
    # One integer per node sorts by frequency, then by descending label.
    heap = [
        frequency << 9 | _RESERVED - label
        for label, frequency in zip(labels, frequencies, strict=True)
    ]
    node_of = {label: node for node, label in enumerate(labels)}
    heapq.heapify(heap)
    parents = [0] * (2 * len(labels) - 1)
    for node in range(len(labels), len(parents)):
        rarest = heapq.heappop(heap)
        second = heap[0]
        label = _RESERVED - (rarest & 511)
        parents[node_of[label]] = parents[node_of[_RESERVED - (second & 511)]] = node
        node_of[label] = node
        heapq.heapreplace(heap, rarest + (second >> 9 << 9))

    depths = [0] * len(parents)
    for node in range(len(parents) - 2, -1, -1):
        depths[node] = depths[parents[node]] + 1
    return depths[: len(labels)]


def _limit_lengths(histogram: list[int]) -> None:
    """Move codes longer than 16 bits up the tree, in place (T.81 figure K.3)."""
    for length in range(len(histogram) - 1, MAX_CODE_LENGTH, -1):
        while histogram[length]:
            shorter = length - 2
            while not histogram[shorter]:
                shorter -= 1
            # A pair gives up its prefix to one of the two; the other splits a shorter code.
            histogram[length] -= 2
            histogram[length - 1] += 1
            histogram[shorter + 1] += 2
            histogram[shorter] -= 1
