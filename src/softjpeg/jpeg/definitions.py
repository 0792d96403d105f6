"""What marker segments define: quantization tables, Huffman tables, the frame (T.81 B.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from softjpeg.jpeg.entropy.huffman import MAX_CODE_LENGTH, STANDARD_TABLES, HuffmanTable
from softjpeg.jpeg.markers import Segment
from softjpeg.jpeg.tables import Table, from_zigzag

_UNREADABLE = {2: "progressive", 3: "lossless", 5: "hierarchical", 6: "hierarchical"}
_UNREADABLE |= {7: "hierarchical"} | {9 + n: "arithmetic-coded" for n in range(7)}


STANDARD_HUFFMAN = {
    (is_ac == 1, destination): STANDARD_TABLES[2 * destination + is_ac]
    for destination in range(2)
    for is_ac in range(2)
}
"""By (is AC, destination): Annex K's, which frames of Motion JPEG leave out."""


class FrameHeader(NamedTuple):
    """A frame: what SOF says of all components, in their order."""

    size: tuple[int, int]
    """(height, width) in pixels."""
    identifiers: tuple[int, ...]
    factors: tuple[tuple[int, int], ...]
    """Sampling factors (H, V)."""
    table_of: tuple[int, ...]
    """Destination of the quantization table."""


def require(condition: bool, problem: str) -> None:
    """Raise ValueError, that the data is corrupt, unless a condition holds."""
    if not condition:
        raise ValueError(f"data is corrupt: {problem}")


def read_quantization_tables(payload: bytes) -> dict[int, Table]:
    """The tables of a DQT segment by destination 0..3, of 8 or 16 bits.

    Raises:
        ValueError: a corrupt segment.

    >>> read_quantization_tables(bytes([1, *[7] * 64]))[1][0, 0]
    np.int64(7)
    """
    tables = {}
    while payload:
        precision, destination = payload[0] >> 4, payload[0] & 15
        require(precision < 2 and destination < 4, f"DQT starts with {payload[0]:02X}")
        end = 1 + 64 * (precision + 1)
        require(len(payload) >= end, "DQT ends inside a table")
        values = np.frombuffer(payload[1:end], dtype=">u2" if precision else np.uint8)
        tables[destination] = from_zigzag(values.tolist())
        payload = payload[end:]
    return tables


def read_huffman_tables(payload: bytes) -> dict[tuple[bool, int], HuffmanTable]:
    """The tables of a DHT segment by (is AC, destination 0..3).

    Raises:
        ValueError: a corrupt segment.

    >>> read_huffman_tables(bytes([0x11, 1, *[0] * 15, 5]))[True, 1].values
    (5,)
    """
    return dict(_huffman_tables(bytes(payload)))


# Most files have the same: those of the standard.
@lru_cache(maxsize=64)
def _huffman_tables(payload: bytes) -> Mapping[tuple[bool, int], HuffmanTable]:
    tables = {}
    while payload:
        is_ac, destination = payload[0] >> 4, payload[0] & 15
        require(is_ac < 2 and destination < 4, f"DHT starts with {payload[0]:02X}")
        bits = tuple(payload[1 : 1 + MAX_CODE_LENGTH])
        end = 1 + MAX_CODE_LENGTH + sum(bits)
        require(len(payload) >= end, "DHT ends inside a table")
        values = tuple(payload[1 + MAX_CODE_LENGTH : end])
        room = sum(count << MAX_CODE_LENGTH - length for length, count in enumerate(bits, 1))
        require(room <= 1 << MAX_CODE_LENGTH, "DHT has more codes than fit their lengths")
        # Two codes may stand for one symbol, as libjpeg has it; but not more than there are bytes.
        require(len(values) <= 256, f"DHT has {len(values)} codes")
        require(is_ac == 1 or max(values, default=0) < 16, "DHT has a DC symbol above 15")
        tables[is_ac == 1, destination] = HuffmanTable(bits, values)
        payload = payload[end:]
    return tables


def defined_tables(
    pieces: Sequence[Segment],
) -> tuple[dict[int, Table], dict[tuple[bool, int], HuffmanTable]]:
    """The tables that segments define: DQT by destination, DHT by (is AC, destination).

    Raises:
        ValueError: a corrupt segment.
    """
    quantization: dict[int, Table] = {}
    huffman: dict[tuple[bool, int], HuffmanTable] = {}
    for piece in pieces:
        if piece.name == "DQT":
            quantization |= read_quantization_tables(piece.payload)
        elif piece.name == "DHT":
            huffman |= read_huffman_tables(piece.payload)
    return quantization, huffman


def read_frame_header(piece: Segment, progressive: bool = False) -> FrameHeader:
    """What a SOF segment defines.

    Args:
        piece: the segment.
        progressive: the kind of frame that is read.

    Raises:
        ValueError: a corrupt segment, or a frame that is not 8-bit, Huffman-coded and sequential,
            or else progressive.
    """
    kind, payload = int(piece.name[3:]), piece.payload
    if progressive != (kind == 2) or kind in _UNREADABLE.keys() - {2}:
        raise ValueError(
            f"data is a {_UNREADABLE.get(kind, 'sequential')} JPEG (SOF{kind}); only "
            f"{'progressive' if progressive else 'sequential'} Huffman-coded JPEG can be read"
        )
    require(len(payload) >= 6 and len(payload) == 6 + 3 * payload[5], "SOF has a wrong length")
    precision, count = payload[0], payload[5]
    size = (int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big"))
    if precision != 8:
        raise ValueError(f"data is a {precision}-bit JPEG; only 8 bits per sample can be read")
    require(1 <= count <= 4, f"it has {count} components")
    require(min(size) > 0, f"the image size is {size}")
    identifiers = tuple(payload[6::3])
    factors = tuple((value >> 4, value & 15) for value in payload[7::3])
    require(len(set(identifiers)) == count, "two components have the same identifier")
    require(
        all(1 <= factor <= 4 for pair in factors for factor in pair),
        f"the sampling factors are {factors}",
    )
    return FrameHeader(size, identifiers, factors, tuple(payload[8::3]))
