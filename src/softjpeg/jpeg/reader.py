"""A sequential JPEG file to its quantized coefficients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.color_space import color_space
from softjpeg.jpeg.definitions import (
    STANDARD_HUFFMAN,
    FrameHeader,
    read_frame_header,
    read_huffman_tables,
    read_quantization_tables,
    require,
)
from softjpeg.jpeg.entropy.decoding import decode_scan
from softjpeg.jpeg.entropy.huffman import HuffmanTable
from softjpeg.jpeg.entropy.layout import scan_layout
from softjpeg.jpeg.entropy.limits import Coefficients
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.markers import Segment, segments
from softjpeg.jpeg.subsampling import SUBSAMPLINGS, Subsampling, subsampling_name
from softjpeg.jpeg.tables import Table


@dataclass(frozen=True, eq=False)
class JPEGCoefficients:
    """What a JPEG file says about its image before dequantization."""

    components: tuple[npt.NDArray[np.int16], ...]
    """1 (gray) or 3 (Y, Cb, Cr) arrays (rows, columns, 8, 8) of quantized indices, raster order."""
    tables: tuple[Table, ...]
    """Per component its quantization table (8, 8), int64."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    subsampling: Subsampling
    """"4:4:4", "4:2:2" or "4:2:0"; "4:4:4" for gray."""
    restart_interval: int
    """In MCUs; 0 = off."""


@dataclass
class _Decoder:
    """What the segments so far have defined."""

    frame: FrameHeader | None = None
    restart_interval: int = 0
    quantization: dict[int, Table] = field(default_factory=dict)
    huffman: dict[tuple[bool, int], HuffmanTable] = field(default_factory=STANDARD_HUFFMAN.copy)
    planes: dict[int, Coefficients] = field(default_factory=dict)
    tables: dict[int, Table] = field(default_factory=dict)


def read_coefficients(data: bytes | str | os.PathLike[str]) -> JPEGCoefficients:
    """Read the quantized DCT coefficients of a JPEG file, bit-exactly.

    Reads 8-bit baseline and extended-sequential Huffman-coded files, gray or of Y, Cb, Cr at 4:4:4,
    4:2:2 (h2v1) or 4:2:0, interleaved or not, with any restart interval. As libjpeg does it, bytes
    between segments are skipped, Annex K's Huffman codes serve where none are defined, and EOI may
    be missing; but every coefficient must be there.

    Args:
        data: the file's bytes, or its path.

    Raises:
        ValueError: not a JPEG file, of another kind (progressive, arithmetic, 12-bit, of R, G, B or
            CMYK, other subsampling), cut off or corrupt; one sentence that says which.
        OSError: the path cannot be read.

    >>> from softjpeg.jpeg.writer import write_coefficients
    >>> luma = np.arange(-64, 64).reshape(1, 2, 8, 8)
    >>> read = read_coefficients(write_coefficients([luma], np.full((8, 8), 9), size=(8, 16)))
    >>> np.array_equal(read.components[0], luma), read.tables[0][0, 0], read.size
    (True, np.int64(9), (8, 16))
    """
    pieces = segments(data)
    for piece in pieces:
        if piece.name.startswith("SOF"):
            header = read_frame_header(piece)
            if len(header.factors) not in (1, 3):
                raise ValueError(
                    f"data has {len(header.factors)} components; only gray (1) and colour (3) "
                    "can be read"
                )
            _subsampling(header.factors)
    frame = read_frame(pieces)
    space = color_space(frame.identifiers, pieces)
    if space == "RGB":
        raise ValueError(
            "data holds R, G, B, not Y, Cb, Cr: its coefficients would be shown in other colours"
        )
    return JPEGCoefficients(
        components=frame.planes,
        tables=frame.tables,
        size=frame.size,
        subsampling=_subsampling(frame.factors),
        restart_interval=frame.restart_interval,
    )


def read_frame(pieces: Sequence[Segment]) -> Frame:
    """What the segments of a sequential file with any components and sampling hold.

    Raises:
        ValueError: a file of another kind (progressive, arithmetic, 12-bit), cut off or corrupt.
    """
    state = _Decoder()
    scan_header = b""
    for piece in pieces:
        if piece.name == "DQT":
            state.quantization |= read_quantization_tables(piece.payload)
        elif piece.name == "DHT":
            state.huffman |= read_huffman_tables(piece.payload)
        elif piece.name == "DRI":
            require(len(piece.payload) == 2, f"DRI has {len(piece.payload)} bytes, not 2")
            state.restart_interval = int.from_bytes(piece.payload, "big")
        elif piece.name.startswith("SOF"):
            require(state.frame is None, "there are two frame headers")
            state.frame = read_frame_header(piece)
        elif piece.name == "SOS":
            scan_header = piece.payload
        elif piece.name == "scan":
            _read_scan(scan_header, piece.payload, state)
    header = state.frame
    if header is None or len(state.planes) < len(header.identifiers):
        raise ValueError(f"data is cut off: it holds {len(state.planes)} component(s) of the image")
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


def _subsampling(factors: Sequence[tuple[int, int]]) -> Subsampling:
    name = "4:4:4" if len(factors) == 1 else subsampling_name(factors)
    if name in SUBSAMPLINGS:
        return name
    raise ValueError(
        f"data has sampling factors {tuple(factors)}; only {', '.join(SUBSAMPLINGS)} can be read"
    )


def _read_scan(header: bytes, data: bytes, state: _Decoder) -> None:
    frame = state.frame
    if frame is None:
        raise ValueError("data is corrupt: SOS comes before SOF")
    require(len(header) > 0 and len(header) == 4 + 2 * header[0], "SOS has a wrong length")
    require(header[0] > 0, "SOS names no component")
    members = []
    tables = []
    for identifier, selector in zip(header[1:-3:2], header[2:-3:2], strict=True):
        require(identifier in frame.identifiers, f"SOS names an unknown component {identifier}")
        member = frame.identifiers.index(identifier)
        require(
            member not in members and member not in state.planes,
            f"component {identifier} is sent twice",
        )
        dc, ac, quantization = selector >> 4, selector & 15, frame.table_of[member]
        require((False, dc) in state.huffman, f"DC Huffman table {dc} is not defined")
        require((True, ac) in state.huffman, f"AC Huffman table {ac} is not defined")
        require(quantization in state.quantization, f"DQT {quantization} is not defined")
        members.append(member)
        tables.append((state.huffman[False, dc], state.huffman[True, ac]))
        state.tables[member] = state.quantization[quantization]
    layout = scan_layout(frame.size, frame.factors, members)
    planes = decode_scan(data, layout, tables, state.restart_interval)
    state.planes.update(zip(members, planes, strict=True))
