"""The inverse of the entropy coder: bytes of a sequential scan to blocks (T.81 F.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softjpeg.common.bounds import MAX_EXPLAINED
from softjpeg.jpeg.entropy.bit_packing import RST0
from softjpeg.jpeg.entropy.huffman import MAX_CODE_LENGTH, HuffmanTable, table_bytes
from softjpeg.jpeg.entropy.layout import ScanLayout, from_mcu_order
from softjpeg.jpeg.entropy.limits import Coefficients
from softjpeg.jpeg.entropy.symbols import EOB, ZRL, Ints
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available

_RESTART = re.compile(rb"(?<!\xFF)\xFF+([\xD0-\xD7])")
_STUFFED = re.compile(rb"\xFF+\x00")
_END_OF_BLOCK = 64  # Zigzag steps past the end of any block.
_LEFT_OVER = 64  # Bits after the last MCU that libjpeg would have read ahead.
_MAX_BLOCK_BYTES = 64 * 4  # No symbol with its extra bits takes more than 31 bits.


class _Lookup(NamedTuple):
    """What follows from the next 16 bits of a scan; each has shape (65536,)."""

    symbols: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.uint8]
    """Of the code; 0 where no code matches."""
    steps: npt.NDArray[np.uint8]
    """Bits to the next symbol."""
    skips: npt.NDArray[np.uint8]
    """Zigzag steps from the coefficient before to the one that an AC symbol announces."""


def decode_scan(
    data: bytes,
    layout: ScanLayout,
    tables: Sequence[tuple[HuffmanTable, HuffmanTable]],
    restart_interval: int = 0,
) -> tuple[Coefficients, ...]:
    """Decode the entropy-coded data of one scan.

    Args:
        data: from the end of the SOS segment to the next marker that is no restart marker.
        layout: of the scan.
        tables: per component of the scan its (DC, AC) Huffman tables.
        restart_interval: in MCUs; 0 = off.

    Returns:
        Per component (rows, columns, 64) int16, raster order, without dummy blocks.

    Raises:
        ValueError: the data end too early, go on too long or match no Huffman code.
    """
    if is_available("_coder"):
        raw = [table_bytes(table) for pair in tables for table in pair]
        planes = kernel.read_scan(data, kernel.layout_of(*layout, restart_interval), raw)
        if planes is not None:
            return planes
        if len(data) > MAX_EXPLAINED:
            raise ValueError(
                f"data is cut off or corrupt: {len(data)} bytes of a scan are not those of "
                f"{layout.mcus[0] * layout.mcus[1]} MCUs"
            )
    # The kernel refuses what is cut off or corrupt, and here is said why.
    return numpy_decode(data, layout, tables, restart_interval)


def check_scan(
    data: bytes,
    layout: ScanLayout,
    tables: Sequence[tuple[HuffmanTable, HuffmanTable]],
    restart_interval: int = 0,
) -> None:
    """Raise what `decode_scan` raises, without coefficients where there is a kernel.

    Args:
        data, layout, tables, restart_interval: as for `decode_scan`.
    """
    if is_available("_coder"):
        raw = [table_bytes(table) for pair in tables for table in pair]
        if kernel.is_whole(data, kernel.layout_of(*layout, restart_interval), raw):
            return
    decode_scan(data, layout, tables, restart_interval)


def numpy_decode(
    data: bytes,
    layout: ScanLayout,
    tables: Sequence[tuple[HuffmanTable, HuffmanTable]],
    restart_interval: int = 0,
) -> tuple[Coefficients, ...]:
    """What `decode_scan` is defined as, in NumPy.

    Args:
        data: from the end of the SOS segment to the next marker that is no restart marker.
        layout: of the scan.
        tables: per component of the scan its (DC, AC) Huffman tables.
        restart_interval: in MCUs; 0 = off.

    Returns:
        Per component (rows, columns, 64) int16, raster order, without dummy blocks.
    """
    mcus = layout.mcus[0] * layout.mcus[1]
    block_components = np.repeat(np.arange(len(tables)), [h * v for h, v in layout.factors])
    interval = restart_interval or mcus
    stream, bounds = _split(data, -(-mcus // interval))
    # A block takes two bits at least: check this before trusting a header with memory.
    if mcus * len(block_components) * 2 > len(stream) * 8:
        raise ValueError(f"data is cut off: {len(stream)} bytes cannot hold {mcus} MCUs")
    lookups = [_lookup(table) for pair in tables for table in pair]
    pairs = [(lookups[2 * c], lookups[2 * c + 1]) for c in block_components.tolist()]
    # An MCU that runs past the end is noticed only after it.
    past_end = np.zeros(_MAX_BLOCK_BYTES * (len(pairs) + 1), dtype=np.int64)
    padded = np.concatenate([stream.astype(np.int64), past_end])

    positions, starts = _walk(padded, bounds, pairs, mcus, interval)
    blocks = _blocks(padded, positions, starts, lookups, np.tile(block_components, mcus))
    blocks = blocks.reshape(mcus, len(pairs), 64)
    _undo_prediction(blocks, layout, interval)
    raster = np.empty(blocks.shape, dtype=np.int16)
    raster[..., ZIGZAG] = blocks
    return from_mcu_order(raster, layout)


def _split(data: bytes, intervals: int) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Drop stuffing, fill bytes and restart markers; where each restart interval ends, in bytes."""
    pieces = _RESTART.split(data)
    parts = [_STUFFED.sub(b"\xff", part) for part in pieces[::2]]
    markers = [marker[0] - RST0 for marker in pieces[1::2]]
    if len(parts) != intervals:
        raise ValueError(
            f"data is corrupt: a scan has {len(markers)} restart markers, not {intervals - 1}"
        )
    if markers != [number % 8 for number in range(len(markers))]:
        raise ValueError(f"data is corrupt: restart markers out of order: {markers[:9]}")
    return np.frombuffer(b"".join(parts), np.uint8), [*accumulate(len(part) for part in parts)]


@lru_cache(maxsize=16)  # Most files have the tables of Annex K.
def _lookup(table: HuffmanTable) -> _Lookup:
    values = np.array(table.values, dtype=np.uint8)
    # A code of length L is followed by anything: 2^(16 - L) words start with it.
    # Of each code, not of each symbol, which may have two.
    of_code = np.repeat(np.arange(1, MAX_CODE_LENGTH + 1), table.bits)
    words = 1 << (MAX_CODE_LENGTH - of_code)
    symbols = np.zeros(1 << MAX_CODE_LENGTH, dtype=np.uint8)
    lengths = np.zeros_like(symbols)
    symbols[: words.sum()] = np.repeat(values, words)
    lengths[: words.sum()] = np.repeat(of_code, words)
    size = symbols & 15
    lengths[(size == 0) & (symbols != EOB) & (symbols != ZRL)] = 0
    ends = (symbols == EOB) | (lengths == 0)
    skips = np.where(ends, _END_OF_BLOCK, (symbols >> 4) + 1).astype(np.uint8)
    return _Lookup(symbols, lengths, lengths + size, skips)


def _walk(
    stream: Ints,
    bounds: Sequence[int],
    mcu: Sequence[tuple[_Lookup, _Lookup]],
    mcus: int,
    interval: int,
) -> tuple[Ints, Ints]:
    """Bit position of every symbol, and the index of each block's first one."""
    # A symbol's place depends on the one before it, so this loop stays; all it needs is flattened.
    words = (stream[:-2] << 16 | stream[1:-1] << 8 | stream[2:]).tolist()
    plan = [(dc.steps.tobytes(), ac.steps.tobytes(), ac.skips.tobytes()) for dc, ac in mcu]
    positions: list[int] = []
    starts: list[int] = []
    send = positions.append
    start = done = 0
    for bound in bounds:
        at, end = 8 * start, 8 * bound
        for _ in range(min(interval, mcus - done)):
            for dc_steps, ac_steps, ac_skips in plan:
                starts.append(len(positions))
                send(at)
                at += dc_steps[words[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                zigzag = 0
                while zigzag < 63:
                    send(at)
                    word = words[at >> 3] >> 8 - (at & 7) & 0xFFFF
                    zigzag += ac_skips[word]
                    at += ac_steps[word]
            if at > end:
                raise ValueError(f"data is cut off or corrupt: bits run out at MCU {done}")
            done += 1
        if end - at >= (8 if done < mcus else _LEFT_OVER):
            raise ValueError(f"data is corrupt: {end - at} bits are left over after MCU {done - 1}")
        start = bound
    return np.array(positions), np.array(starts)


def _blocks(
    stream: Ints, positions: Ints, starts: Ints, lookups: Sequence[_Lookup], components: Ints
) -> Ints:
    """Zigzag blocks (blocks, 64) with DC differences, from the place of every symbol."""
    block = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(positions))))
    is_dc = np.zeros(len(positions), dtype=np.bool_)
    is_dc[starts] = True

    byte, bit = positions >> 3, positions & 7
    window = np.zeros_like(positions)
    for offset in range(5):
        window = window << 8 | stream[byte + offset]
    key = (2 * components[block] + ~is_dc << 16) + (window >> 24 - bit & 0xFFFF)
    joined = _Lookup(*(np.concatenate(column) for column in zip(*lookups, strict=True)))
    symbols, lengths, skips = joined.symbols[key], joined.lengths[key], joined.skips[key]
    if not lengths.all():
        raise ValueError(
            f"data is corrupt: no Huffman code matches in block {block[lengths == 0][0]}"
        )
    skips[is_dc] = 0
    reached = np.cumsum(skips, dtype=np.int64)
    zigzag = reached - reached[starts][block]
    if (zigzag[(symbols != EOB) | is_dc] > 63).any():
        raise ValueError("data is corrupt: a run of zeros leaves its block")

    size = symbols & np.int64(15)
    extra = window >> 40 - bit - lengths - size & (1 << size) - 1
    # T.81 F.2.2.1: a clear first bit marks a negative value.
    values = np.where(extra < 1 << size >> 1, extra - (1 << size) + 1, extra)
    blocks = np.zeros((len(starts), 64), dtype=np.int64)
    sent = size > 0
    blocks[block[sent], zigzag[sent]] = values[sent]
    return blocks


def _undo_prediction(blocks: Ints, layout: ScanLayout, restart_interval: int) -> None:
    """Replace DC differences by DC, in place."""
    start = 0
    for h, v in layout.factors:
        differences = blocks[:, start : start + h * v, 0]
        total = np.cumsum(differences).reshape(differences.shape)
        before = (total - differences)[::restart_interval, 0]
        dc = total - np.repeat(before, restart_interval)[: len(differences), None]
        if np.abs(dc).max() > np.iinfo(np.int16).max:
            raise ValueError("data is corrupt: DC differences add up to more than 16 bits")
        blocks[:, start : start + h * v, 0] = dc
        start += h * v
