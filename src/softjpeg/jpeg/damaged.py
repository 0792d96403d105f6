"""Damaged sequential files as libjpeg-turbo reads them, which warns and goes on."""

from __future__ import annotations

import re

import numpy as np

from softjpeg.jpeg.decoder import Definitions, define, frame_of, scan_of
from softjpeg.jpeg.definitions import FrameHeader, require
from softjpeg.jpeg.entropy.concealment import conceal_scan
from softjpeg.jpeg.entropy.layout import scan_layout
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.markers import Segment, extraneous_at, segment_at

_SKIPPED = re.compile(r"APP\d+|COM|DNL")
"""Segments whose content nobody needs: a file may end inside them."""
_KNOWN = re.compile(r"APP\d+|COM|DNL|DQT|DHT|DRI|DAC|SOF\d+|SOS|EOI|RST\d|TEM")
"""libjpeg gives up at any other."""


def read_damaged_frame(data: bytes) -> tuple[Frame, list[Segment]]:
    """The coefficients that libjpeg-turbo takes from a file that it warns of, and its segments.

    Bits that are missing, left over or no code's, restart markers that are missing or out of order,
    and scans that are not there: `softjpeg.jpeg.entropy.concealment` says what becomes of them.

    Raises:
        ValueError: a file that libjpeg refuses too, one that is not sequential, that sends a
            component twice, ends inside its tables, or has fewer bits than blocks.
    """
    require(data[:2] == b"\xff\xd8", "it does not start with the JPEG marker FF D8")
    state, pieces, at = Definitions(), [segment_at(data, 0)], 2
    while pieces[-1].name != "EOI":
        at += extraneous_at(data, at).length
        piece = _piece(data, at)
        if piece is None:
            break
        pieces.append(piece)
        at += piece.length
        define(piece, state)
        if piece.name == "SOS":
            scan = scan_of(piece.payload, state)
            _require_bits(data, state.frame)
            planes, at = conceal_scan(data, at, scan.layout, scan.tables, state.restart_interval)
            state.planes.update(zip(scan.members, planes, strict=True))
    if state.frame is None or not state.planes:
        raise ValueError("data is cut off: it holds no component of the image")
    _fill(state.frame, state)
    return frame_of(state.frame, state), pieces


def _piece(data: bytes, at: int) -> Segment | None:
    """The segment there; None at the end of the file, where libjpeg puts EOI."""
    if at >= len(data):
        return None
    try:
        piece = segment_at(data, at)
    except ValueError as error:
        name = re.search(r"inside the (\S+) segment", str(error))
        if name and _SKIPPED.fullmatch(name[1]):
            return None
        raise
    require(
        _KNOWN.fullmatch(piece.name) is not None, f"it has the marker {piece.name} at byte {at}"
    )
    return piece


def _require_bits(data: bytes, frame: FrameHeader | None) -> None:
    """Before a header is trusted with memory."""
    if frame is not None:
        blocks = sum(
            rows * columns for rows, columns in scan_layout(frame.size, frame.factors).shapes
        )
        if 8 * len(data) < blocks:
            raise ValueError(f"data is cut off: {len(data)} bytes cannot hold {blocks} blocks")


def _fill(frame: FrameHeader, state: Definitions) -> None:
    """Components that no scan sent are zeros."""
    shapes = scan_layout(frame.size, frame.factors, range(len(frame.identifiers))).shapes
    for member, shape in enumerate(shapes):
        if member not in state.planes:
            table = frame.table_of[member]
            require(table in state.quantization, f"DQT {table} is not defined")
            state.tables[member] = state.quantization[table]
            state.planes[member] = np.zeros((*shape, 64), dtype=np.int16)
