"""Marker segments: split a JPEG file into them, and build those of a baseline file (T.81 B)."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from softjpeg.jpeg.entropy.huffman import HuffmanTable, table_bytes
from softjpeg.jpeg.tables import MAX_STEP, ZIGZAG, validate_table

SOF0, SOF1, DHT, SOI, EOI, SOS = 0xC0, 0xC1, 0xC4, 0xD8, 0xD9, 0xDA
DQT, DRI, APP0, APP14 = 0xDB, 0xDD, 0xE0, 0xEE

_NAMES = {0x01: "TEM", 0xC4: "DHT", 0xC8: "JPG", 0xCC: "DAC", 0xD8: "SOI", 0xD9: "EOI"}
_NAMES |= {0xDA: "SOS", 0xDB: "DQT", 0xDC: "DNL", 0xDD: "DRI", 0xDE: "DHP", 0xDF: "EXP"}
_NAMES |= {0xD0 + n: f"RST{n}" for n in range(8)} | {0xE0 + n: f"APP{n}" for n in range(16)}
_NAMES |= {0xC0 + n: f"SOF{n}" for n in range(16) if 0xC0 + n not in _NAMES} | {0xFE: "COM"}
_STANDALONE = {0x01, *range(0xD0, 0xDA)}

_END_OF_SCAN = re.compile(rb"\xFF[^\x00\xD0-\xD7\xFF]")  # Not stuffing, nor a restart marker.
_MARKER = re.compile(rb"\xFF+[^\x00\xFF]")


@dataclass(frozen=True)
class Segment:
    """A piece of a JPEG file; the pieces that `segments` returns tile the file.

    `name` is the marker's name in T.81 ("DQT", "SOF0", "APP0", ...), "scan" for entropy-coded data
    with its restart markers, "extraneous" for bytes between segments that start no marker, which
    every decoder skips, or "trailer" for whatever follows EOI. `length` counts every byte of the
    piece, fill bytes, marker and length field included; `payload` leaves these out.
    """

    name: str
    offset: int
    length: int
    payload: bytes


def read_bytes(data: bytes | str | os.PathLike[str]) -> bytes:
    """The bytes of a file given as bytes or by its path.

    Raises:
        ValueError: neither of them.
        OSError: the path cannot be read.

    >>> read_bytes(bytearray(2))
    b'\\x00\\x00'
    """
    if isinstance(data, (str, os.PathLike)):
        with open(data, "rb") as file:
            return file.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ValueError(f"data must be a file's bytes or its path, got {type(data).__name__}")
    return bytes(data)


def segments(data: bytes | str | os.PathLike[str]) -> list[Segment]:
    """Split a JPEG file of any kind into its marker segments and scans, in file order.

    Bytes between segments are skipped, as libjpeg does it, and a file may end without EOI.

    Raises:
        ValueError: not a JPEG file, or cut off inside a segment.
        OSError: the path cannot be read.

    >>> [(piece.name, piece.length) for piece in segments(bytes.fromhex("ffd8 fffe0003 41 ffd9"))]
    [('SOI', 2), ('COM', 5), ('EOI', 2)]
    """
    data = read_bytes(data)
    if data[:2] != b"\xff\xd8":
        raise ValueError(f"data must start with the JPEG marker FF D8, got {data[:2].hex(' ')!r}")
    pieces: list[Segment] = []
    at = 0
    while at < len(data) and (not pieces or pieces[-1].name != "EOI"):
        piece = segment_at(data, at) if _MARKER.match(data, at) else extraneous_at(data, at)
        pieces.append(piece)
        at += piece.length
        if piece.name == "SOS":
            end = _end_of_scan(data, at)
            pieces.append(Segment("scan", at, end - at, data[at:end]))
            at = end
    if at < len(data):
        pieces.append(Segment("trailer", at, len(data) - at, data[at:]))
    return pieces


def extraneous_at(data: bytes, start: int) -> Segment:
    """Bytes up to the next marker, or where there is none the end; they may be none."""
    marker = _MARKER.search(data, start)
    end = len(data) if marker is None else marker.start()
    return Segment("extraneous", start, end - start, data[start:end])


def _end_of_scan(data: bytes, start: int) -> int:
    marker = _END_OF_SCAN.search(data, start)
    end = len(data) if marker is None else marker.start()
    # Fill bytes before a marker belong to it.
    while end > start and data[end - 1] == 0xFF:
        end -= 1
    return end


def segment_at(data: bytes, offset: int) -> Segment:
    """What the marker at `offset`, fill bytes before it, starts.

    Raises:
        ValueError: the data end inside it.
    """
    at = offset
    while data[at + 1] == 0xFF:
        at += 1
    marker = data[at + 1]
    name = _NAMES.get(marker, f"FF{marker:02X}")
    at += 2
    if marker in _STANDALONE:
        return Segment(name, offset, at - offset, b"")
    length = int.from_bytes(data[at : at + 2], "big")
    if len(data) < at + max(length, 2):
        raise ValueError(f"data is cut off inside the {name} segment at byte {offset}")
    if length < 2:
        raise ValueError(f"data is corrupt: {name} at byte {offset} has the length {length}")
    return Segment(name, offset, at + length - offset, data[at + 2 : at + length])


def bytes_by_marker(data: bytes | str | os.PathLike[str]) -> dict[str, int]:
    """How many bytes of a JPEG file each kind of piece takes; they add up to the file's length.

    Raises:
        ValueError: not a JPEG file, or cut off inside a segment.

    >>> bytes_by_marker(bytes.fromhex("ffd8 fffe0003 41 fffe0002 ffd9"))
    {'SOI': 2, 'COM': 9, 'EOI': 2}
    """
    totals: dict[str, int] = {}
    for piece in segments(data):
        totals[piece.name] = totals.get(piece.name, 0) + piece.length
    return totals


def scan_bytes(data: bytes | str | os.PathLike[str]) -> int:
    """Bytes of entropy-coded data in a JPEG file, stuffing and restart markers included.

    Raises:
        ValueError: not a JPEG file, or cut off inside a segment.

    >>> scan_bytes(bytes.fromhex("ffd8 ffda0002 a1b2c3 ffd9"))
    3
    """
    return bytes_by_marker(data).get("scan", 0)


def insert_after_header(data: bytes, extra: bytes) -> bytes:
    r"""Put whole segments into a JPEG file, after SOI and, where there is one, APP0.

    >>> insert_after_header(bytes.fromhex("ffd8 ffe00002 ffd9"), b"new")[6:]
    b'new\xff\xd9'
    """
    if not extra:
        return data
    at = 2 + (segment_at(data, 2).length if data[3] == APP0 else 0)
    return data[:at] + extra + data[at:]


def build(marker: int, payload: bytes) -> bytes:
    """A segment, of a marker that has a length field.

    >>> build(APP14, b"Adobe").hex(" ")
    'ff ee 00 07 41 64 6f 62 65'
    """
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jfif() -> bytes:
    """APP0 of a JFIF 1.01 file: square pixels, no thumbnail."""
    return build(APP0, b"JFIF\0" + struct.pack(">BBBHHBB", 1, 1, 0, 1, 1, 0, 0))


def quantization_tables(tables: Iterable[tuple[int, Any]]) -> bytes:
    """DQT: for each table its destination, and (8, 8) of 1..65535 in raster order.

    A table has 8 bits for each step, or 16 where one is above 255.
    """
    payload = b""
    for destination, table in tables:
        steps = validate_table("table", table, MAX_STEP).reshape(64)[ZIGZAG]
        wide = steps.max() > 255
        payload += bytes([wide << 4 | destination])
        payload += steps.astype(">u2" if wide else np.uint8).tobytes()
    return build(DQT, payload)


def frame_header(
    size: tuple[int, int],
    identifiers: Iterable[int],
    factors: Iterable[tuple[int, int]],
    destinations: Iterable[int],
    *,
    extended: bool = False,
) -> bytes:
    """SOF0 of an 8-bit frame, or SOF1.

    Args:
        size: (height, width) in pixels, 1..65535.
        identifiers: of each component, 0..255.
        factors: sampling factors (H, V) of each component, 1..4.
        destinations: of each component's quantization table, 0..3.
        extended: SOF1, as a frame with a table of 16 bits must be.
    """
    components = [
        bytes([identifier, h << 4 | v, destination])
        for identifier, (h, v), destination in zip(identifiers, factors, destinations, strict=True)
    ]
    return build(
        SOF1 if extended else SOF0,
        struct.pack(">BHHB", 8, *size, len(components)) + b"".join(components),
    )


def huffman_tables(tables: Iterable[tuple[bool, int, HuffmanTable]]) -> bytes:
    """DHT with tables: for each whether it is for AC, its destination, and itself."""
    return build(
        DHT,
        b"".join(
            bytes([is_ac << 4 | destination]) + table_bytes(table)
            for is_ac, destination, table in tables
        ),
    )


def restart_interval_definition(restart_interval: int) -> bytes:
    """DRI: the restart interval in MCUs."""
    return build(DRI, struct.pack(">H", restart_interval))


def scan_header(identifiers: Iterable[int], tables: Iterable[tuple[int, int]]) -> bytes:
    """SOS of a sequential scan: per component its identifier and its (DC, AC) Huffman tables."""
    components = [
        bytes([identifier, dc << 4 | ac])
        for identifier, (dc, ac) in zip(identifiers, tables, strict=True)
    ]
    return build(SOS, bytes([len(components)]) + b"".join(components) + bytes([0, 63, 0]))
