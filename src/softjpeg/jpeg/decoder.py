"""What a sequential file's segments define, one after the other, up to its frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from softjpeg.jpeg.definitions import (
    STANDARD_HUFFMAN,
    FrameHeader,
    read_frame_header,
    read_huffman_tables,
    read_quantization_tables,
    require,
)
from softjpeg.jpeg.entropy.decoding import check_scan, decode_scan
from softjpeg.jpeg.entropy.huffman import HuffmanTable
from softjpeg.jpeg.entropy.layout import ScanLayout, scan_layout
from softjpeg.jpeg.entropy.limits import Coefficients
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.markers import Segment
from softjpeg.jpeg.tables import Table


class Scan(NamedTuple):
    """What a scan's data are decoded with."""

    members: tuple[int, ...]
    """Indices of its components in the frame."""
    layout: ScanLayout
    tables: tuple[tuple[HuffmanTable, HuffmanTable], ...]
    """Per component its (DC, AC) Huffman tables."""


@dataclass
class Definitions:
    """What the segments so far have defined."""

    frame: FrameHeader | None = None
    restart_interval: int = 0
    quantization: dict[int, Table] = field(default_factory=dict)
    huffman: dict[tuple[bool, int], HuffmanTable] = field(default_factory=STANDARD_HUFFMAN.copy)
    planes: dict[int, Coefficients] = field(default_factory=dict)
    tables: dict[int, Table] = field(default_factory=dict)
    """Of the components that a scan has sent."""


def read_frame(pieces: Sequence[Segment]) -> Frame:
    """What the segments of a sequential file with any components and sampling hold.

    Raises:
        ValueError: a file of another kind (progressive, arithmetic, 12-bit), cut off or corrupt.
    """
    state = Definitions()
    for scan, data in _scans(pieces, state):
        planes = decode_scan(data, scan.layout, scan.tables, state.restart_interval)
        state.planes.update(zip(scan.members, planes, strict=True))
    assert state.frame is not None
    return frame_of(state.frame, state)


def check_frame(pieces: Sequence[Segment]) -> None:
    """Raise what `read_frame` raises, in a third of its time."""
    state = Definitions()
    for scan, data in _scans(pieces, state):
        check_scan(data, scan.layout, scan.tables, state.restart_interval)


def _scans(pieces: Sequence[Segment], state: Definitions) -> Iterator[tuple[Scan, bytes]]:
    """Each scan and its data, once the segments before it are taken up."""
    scan_header = b""
    for piece in pieces:
        define(piece, state)
        if piece.name == "SOS":
            scan_header = piece.payload
        elif piece.name == "scan":
            yield scan_of(scan_header, state), piece.payload
    sent, header = len(state.tables), state.frame
    if header is None or sent < len(header.identifiers):
        raise ValueError(f"data is cut off: it holds {sent} component(s) of the image")


def define(piece: Segment, state: Definitions, progressive: bool = False) -> None:
    """Take up what a segment defines, if it is one that defines anything.

    Args:
        piece: the segment.
        state: what changes.
        progressive: the kind of frame that is read.

    Raises:
        ValueError: a corrupt segment, or a frame of another kind.
    """
    if piece.name == "DQT":
        state.quantization |= read_quantization_tables(piece.payload)
    elif piece.name == "DHT":
        state.huffman |= read_huffman_tables(piece.payload)
    elif piece.name == "DRI":
        require(len(piece.payload) == 2, f"DRI has {len(piece.payload)} bytes, not 2")
        state.restart_interval = int.from_bytes(piece.payload, "big")
    elif piece.name.startswith("SOF"):
        require(state.frame is None, "there are two frame headers")
        state.frame = read_frame_header(piece, progressive)


def scan_of(header: bytes, state: Definitions) -> Scan:
    """What an SOS segment's payload announces.

    Raises:
        ValueError: a corrupt segment, or one that names what is not defined.
    """
    frame, named = components_of(header, state)
    members = []
    tables = []
    for member, selector in named:
        require(
            member not in state.tables,
            f"component {frame.identifiers[member]} is sent twice",
        )
        dc, ac, quantization = selector >> 4, selector & 15, frame.table_of[member]
        require((False, dc) in state.huffman, f"DC Huffman table {dc} is not defined")
        require((True, ac) in state.huffman, f"AC Huffman table {ac} is not defined")
        require(quantization in state.quantization, f"DQT {quantization} is not defined")
        members.append(member)
        tables.append((state.huffman[False, dc], state.huffman[True, ac]))
        state.tables[member] = state.quantization[quantization]
    layout = scan_layout(frame.size, frame.factors, members)
    return Scan(tuple(members), layout, tuple(tables))


def components_of(header: bytes, state: Definitions) -> tuple[FrameHeader, list[tuple[int, int]]]:
    """The frame of a scan, and of each of its components the index in it and the table selectors.

    Args:
        header: an SOS segment's payload.
        state: what the segments before it define.

    Raises:
        ValueError: a corrupt segment, or one that names what is not defined.
    """
    frame = state.frame
    if frame is None:
        raise ValueError("data is corrupt: SOS comes before SOF")
    require(len(header) > 0 and len(header) == 4 + 2 * header[0], "SOS has a wrong length")
    require(header[0] > 0, "SOS names no component")
    named = []
    for identifier, selector in zip(header[1:-3:2], header[2:-3:2], strict=True):
        require(identifier in frame.identifiers, f"SOS names an unknown component {identifier}")
        named.append((frame.identifiers.index(identifier), selector))
    return frame, named


def frame_of(header: FrameHeader, state: Definitions) -> Frame:
    """The image, once every component is there."""
    order = range(len(header.identifiers))
    return Frame(
        size=header.size,
        identifiers=header.identifiers,
        factors=header.factors,
        planes=tuple(
            state.planes[index].reshape(*state.planes[index].shape[:2], 8, 8) for index in order
        ),
        tables=tuple(state.tables[index] for index in order),
        restart_interval=state.restart_interval,
    )
