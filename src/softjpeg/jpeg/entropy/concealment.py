"""What libjpeg-turbo makes of a damaged scan: the same blocks, bit for bit, without its warnings.

Where bits run out, a MCU's are zeros and the blocks of all later ones are, up to the next restart
marker that fits. No code that matches is a 0; a run past a block's end is of its last coefficient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from softjpeg.jpeg.entropy.bit_packing import RST0
from softjpeg.jpeg.entropy.huffman import MAX_CODE_LENGTH, HuffmanTable
from softjpeg.jpeg.entropy.layout import ScanLayout, from_mcu_order
from softjpeg.jpeg.entropy.limits import Coefficients
from softjpeg.jpeg.entropy.symbols import ZRL
from softjpeg.jpeg.tables import ZIGZAG

_MARKER = re.compile(rb"\xFF+([^\x00\xFF])")
_STUFFED = re.compile(rb"\xFF+\x00")
_FIRST_MARKER, _END = 0xC0, 0xD9  # SOF0: lower bytes are no markers; EOI.
_NO_CODE = MAX_CODE_LENGTH + 1  # Bits that are read until it is known that no code matches.
_BLOCK_BYTES = 64 * 4  # No symbol with its bits takes more than 32.
_PLACES = [*ZIGZAG.tolist(), *[63] * 16]  # By zigzag; libjpeg has 16 more.

_Lookup = tuple[bytes, bytes]
"""Of each 16 bits the symbol, and its code's length."""


class _Interval(NamedTuple):
    data: bytes
    """Without stuffing."""
    is_resumed: bool
    """A restart marker came before it; else libjpeg is still where the one before it ended."""


def conceal_scan(
    data: bytes,
    at: int,
    layout: ScanLayout,
    tables: Sequence[tuple[HuffmanTable, HuffmanTable]],
    restart_interval: int = 0,
) -> tuple[tuple[Coefficients, ...], int]:
    """Decode the entropy-coded data of one scan, whatever they are.

    Args:
        data: the file.
        at: where SOS ends in it.
        layout: of the scan.
        tables: per component of the scan its (DC, AC) Huffman tables.
        restart_interval: in MCUs; 0 = off.

    Returns:
        Per component (rows, columns, 64) int16, raster order, without dummy blocks; where the
        marker is that ends the scan.
    """
    mcus = layout.mcus[0] * layout.mcus[1]
    interval = restart_interval or mcus
    pieces, end = _intervals(data, at, -(-mcus // interval))
    lookups = [(_lookup(dc), _lookup(ac)) for dc, ac in tables]
    plan = [c for c, (h, v) in enumerate(layout.factors) for _ in range(h * v)]
    blocks = np.zeros((mcus, len(plan), 64), dtype=np.int16)
    ran_out = False
    for start, piece in zip(range(0, mcus, interval), pieces, strict=False):
        ran_out = ran_out and not piece.is_resumed
        if not ran_out:
            ran_out = _decode(piece.data, blocks[start : start + interval], plan, lookups)
    return from_mcu_order(blocks, layout), end


def _intervals(data: bytes, at: int, count: int) -> tuple[list[_Interval], int]:
    """All of a scan's `count` restart intervals that have bits; where the marker after it is."""
    first, marker, at, after = _up_to_marker(data, at)
    found = [_Interval(first, True)]
    for number in range(count - 1):
        wanted = number & 7
        while (action := _action(marker, wanted)) == "skip":
            _, marker, at, after = _up_to_marker(data, after)
        if action == "stay":
            found.append(_Interval(b"", False))
            if not RST0 <= marker < RST0 + 8:
                # So it will be for all others: nothing is resumed again.
                break
        else:
            piece, marker, at, after = _up_to_marker(data, after)
            found.append(_Interval(piece, True))
    return found, at


def _up_to_marker(data: bytes, at: int) -> tuple[bytes, int, int, int]:
    """Bits up to the next marker, and that, where it starts and ends; at a file's end EOI."""
    match = _MARKER.search(data, at)
    if match is None:
        bits, marker, start, end = data[at:].rstrip(b"\xff"), _END, len(data), len(data)
    else:
        bits, marker = data[at : match.start()], match[1][0]
        start, end = match.span()
    # Its fast decoder stops there, and leaves coefficients that its slow one does not overwrite.
    if b"\xff\xff\0" in bits:
        raise ValueError("data is corrupt: a scan has fill bytes before a stuffed zero")
    return _STUFFED.sub(b"\xff", bits), marker, start, end


def _action(marker: int, wanted: int) -> str:
    """libjpeg's `jpeg_resync_to_restart`."""
    if marker < _FIRST_MARKER:
        return "skip"
    ahead = (marker - RST0 - wanted) & 7
    if not RST0 <= marker < RST0 + 8 or ahead in (1, 2):
        return "stay"
    return "skip" if ahead in (6, 7) else "resume"


def _lookup(table: HuffmanTable) -> _Lookup:
    """Of each 16 bits the symbol, and its code's length."""
    of_code = np.repeat(np.arange(1, MAX_CODE_LENGTH + 1), table.bits)
    words = 1 << (MAX_CODE_LENGTH - of_code)
    symbols = np.zeros(1 << MAX_CODE_LENGTH, dtype=np.uint8)
    lengths = np.full_like(symbols, _NO_CODE)
    symbols[: words.sum()] = np.repeat(np.array(table.values, dtype=np.uint8), words)
    lengths[: words.sum()] = np.repeat(of_code, words)
    return symbols.tobytes(), lengths.tobytes()


def _decode(
    data: bytes,
    blocks: Coefficients,
    plan: Sequence[int],
    lookups: Sequence[tuple[_Lookup, _Lookup]],
) -> bool:
    """Fill the blocks of an interval's MCUs (n, blocks, 64), raster order; whether bits ran out."""
    padded, at = data + bytes(_BLOCK_BYTES * (len(plan) + 1)), 0
    predicted = [0] * len(lookups)
    for mcu in blocks:
        for block, component in zip(mcu, plan, strict=True):
            dc, ac = lookups[component]
            _, difference, at = _next(padded, at, dc)
            predicted[component] += difference
            if abs(predicted[component]) >= 1 << 31:
                raise ValueError("data is corrupt: DC differences add up to more than 32 bits")
            # As C's cast to 16 bits.
            block[0] = (predicted[component] + (1 << 15) & 0xFFFF) - (1 << 15)
            place = 0
            while place < 63:
                symbol, value, at = _next(padded, at, ac)
                if not symbol & 15 and symbol != ZRL:
                    break
                place += (symbol >> 4) + 1
                if symbol != ZRL:
                    block[_PLACES[place]] = value
        if at > 8 * len(data):
            return True
    return False


def _next(data: bytes, at: int, lookup: _Lookup) -> tuple[int, int, int]:
    """The symbol at a bit, the value after it, and where the next one is."""
    window = int.from_bytes(data[at >> 3 : (at >> 3) + 5], "big")
    bit = at & 7
    code = window >> 24 - bit & 0xFFFF
    symbol, length = lookup[0][code], lookup[1][code]
    size = symbol & 15
    extra = window >> 40 - bit - length - size & (1 << size) - 1
    # T.81 F.2.2.1: a clear first bit marks a negative value.
    value = extra - (1 << size) + 1 if extra < 1 << size >> 1 else extra
    return symbol, value, at + length + size
