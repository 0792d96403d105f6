"""What is wrong with a progressive file's scans, of which libjpeg only warns (T.81 G)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.decoder import Definitions, components_of, define
from softjpeg.jpeg.definitions import require
from softjpeg.jpeg.entropy.huffman import table_bytes
from softjpeg.jpeg.entropy.layout import scan_layout
from softjpeg.jpeg.markers import Segment
from softjpeg.kernels.cpu import scan_progressive as kernel
from softjpeg.kernels.cpu.scan_layout import layout_of
from softjpeg.kernels.library import is_available

_NONE = -1


@dataclass
class _Sent:
    """Of a component."""

    low_bit: list[int] = field(default_factory=lambda: [_NONE] * 64)
    """Of each coefficient, zigzag: the lowest bit sent so far."""
    known: npt.NDArray[np.uint64] | None = None
    """(rows, columns): bit k where coefficient k is not zero so far."""


def can_check_progressive() -> bool:
    """Whether `check_progressive` can run: it needs the C kernels."""
    return is_available("_coder")


def check_progressive(pieces: Sequence[Segment]) -> None:
    """Raise unless every scan has all bits it announces, and each component its DC.

    Args:
        pieces: segments of a file of SOF2.

    Raises:
        ValueError: the file is cut off or corrupt.
    """
    state, header, number = Definitions(), b"", 0
    sent: dict[int, _Sent] = {}
    for piece in pieces:
        define(piece, state, progressive=True)
        if piece.name == "SOS":
            header = piece.payload
        elif piece.name == "scan":
            number += 1
            _check_scan(header, piece.payload, state, sent, number)
    frame = state.frame
    if frame is None or any(
        member not in sent or sent[member].low_bit[0] == _NONE
        for member in range(len(frame.identifiers))
    ):
        raise ValueError("data is cut off: a component of the image has no scan")
    if any(piece.name == "extraneous" for piece in pieces):
        complete = all(not any(each.low_bit) for each in sent.values())
        require(complete, "bytes between its segments may have been the scan that is missing")


def _check_scan(
    header: bytes, data: bytes, state: Definitions, sent: dict[int, _Sent], number: int
) -> None:
    frame, named = components_of(header, state)
    members = tuple(member for member, _ in named)
    require(len({*members}) == len(members), "SOS names a component twice")
    first, last, bits = header[-3:]
    high, low = bits >> 4, bits & 15
    require(
        first <= last <= 63 and (first > 0) != (last == 0),
        f"scan {number} sends coefficients {first} to {last}",
    )
    require(not first or len(members) == 1, f"scan {number} sends AC of {len(members)} components")
    for member in members:
        before = sent.setdefault(member, _Sent()).low_bit
        require(not first or before[0] != _NONE, f"scan {number} sends AC before DC")
        wanted = {max(each, 0) for each in before[first : last + 1]}
        require(wanted == {high}, f"scan {number} goes on from another bit than was sent")
        before[first : last + 1] = [low] * (last + 1 - first)
    layout = layout_of(*scan_layout(frame.size, frame.factors, members), state.restart_interval)
    tables = []
    for _, selector in named:
        table = state.huffman.get((first > 0, selector & 15 if first else selector >> 4))
        # Bits that refine DC have no code.
        needed = first > 0 or high == 0
        require(table is not None or not needed, f"scan {number} has no Huffman table")
        tables.append(b"" if table is None else table_bytes(table))
    known = None
    if first:
        mine = sent[members[0]]
        if mine.known is None:
            mine.known = np.zeros(layout.shapes[0], dtype=np.uint64)
        known = mine.known
    if not kernel.is_whole(data, layout, tables, (first, last), high > 0, known):
        raise ValueError(f"data is cut off or corrupt: scan {number} is not whole")
