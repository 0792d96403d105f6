"""One scan on its way to bytes: its symbols with the bits that follow them, counted and packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.entropy.bit_packing import pack_scan
from softjpeg.jpeg.entropy.huffman import HuffmanTable, code_lengths, codes, table_bytes
from softjpeg.jpeg.entropy.layout import ScanLayout
from softjpeg.jpeg.entropy.limits import BEYOND_BASELINE, MAX_AC, MAX_DC, MIN_DC, Coefficients
from softjpeg.jpeg.entropy.symbols import scan_blocks, scan_symbols, symbol_counts
from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available


class Tokens(NamedTuple):
    """The symbols of one scan and the bits that follow each."""

    tokens: npt.NDArray[np.uint32]
    """Shape (n,): (512 × component + 256 × is AC + symbol) << 16 | the bits after its code."""
    starts: npt.NDArray[np.int64]
    """Index of the first token of each restart interval, and n."""
    counts: npt.NDArray[np.int64]
    """Shape (components, 2: DC and AC, 256): how often each symbol occurs; 0 if not counted."""


def scan_tokens(
    planes: Sequence[Coefficients],
    layout: ScanLayout,
    restart_interval: int = 0,
    *,
    count: bool = True,
    dc_range: bool = False,
) -> Tokens:
    """The symbols of one scan, each component with tables of its own.

    Args:
        planes: per component (rows, columns, 64) int16, raster order.
        layout: of the scan.
        restart_interval: in MCUs; 0 = off.
        count: the symbols too, which takes longer.
        dc_range: refuse a DC outside -1024..1023 too, whatever it differs by.

    Raises:
        ValueError: a value that baseline JPEG has no symbol for.

    >>> from softjpeg.jpeg.entropy.layout import scan_layout
    >>> plane = np.zeros((1, 1, 64), dtype=np.int16)
    >>> plane[0, 0, :2] = 5, -1
    >>> tokens = scan_tokens([plane], scan_layout((8, 8), [(1, 1)])).tokens
    >>> [(hex(token >> 16), token & 0xFFFF) for token in tokens.tolist()]  # 3 bits, 0/1, EOB
    [('0x3', 5), ('0x101', 0), ('0x100', 0)]
    """
    if is_available("_coder"):
        planes = [np.require(plane, np.int16, ["C", "A"]) for plane in planes]
        fields = kernel.make_tokens(
            planes, kernel.layout_of(*layout, restart_interval), count, dc_range
        )
        if fields is None:
            raise ValueError(BEYOND_BASELINE)
        return Tokens(*fields)
    if dc_range and any(
        plane.size and not MIN_DC <= plane[..., 0].min() <= plane[..., 0].max() <= MAX_DC
        for plane in planes
    ):
        raise ValueError(BEYOND_BASELINE)
    return numpy_tokens(planes, layout, restart_interval)


def numpy_tokens(
    planes: Sequence[Coefficients], layout: ScanLayout, restart_interval: int = 0
) -> Tokens:
    """What `scan_tokens` is defined as, in NumPy.

    Args:
        planes: per component (rows, columns, 64) int16, raster order.
        layout: of the scan.
        restart_interval: in MCUs; 0 = off.

    Raises:
        ValueError: a value that baseline JPEG has no symbol for.
    """
    blocks = scan_blocks([plane[None] for plane in planes], layout, restart_interval)
    if np.abs(blocks[..., 1:]).max() > MAX_AC or np.abs(blocks[..., 0]).max() > MAX_DC - MIN_DC:
        raise ValueError(BEYOND_BASELINE)
    symbols = scan_symbols(blocks, layout, range(len(planes)))
    size = symbols.codes & 15
    # T.81 F.1.2.1: a negative value sends the low bits of itself less one.
    bits = (symbols.values - (symbols.values < 0)) & ((1 << size) - 1)
    interval = restart_interval * layout.blocks_per_mcu or len(symbols.starts)
    return Tokens(
        tokens=(symbols.codes << 16 | bits).astype(np.uint32),
        starts=np.append(symbols.starts[::interval], len(bits)),
        counts=symbol_counts(symbols, groups=len(planes)).reshape(len(planes), 2, 256),
    )


def write_tokens(tokens: Tokens, tables: Sequence[tuple[HuffmanTable, HuffmanTable]]) -> bytes:
    """The entropy-coded data of a scan: its codes, padding, stuffing and restart markers.

    Args:
        tokens: of `scan_tokens`.
        tables: per component its (DC, AC) Huffman tables.
    """
    each = [table for pair in tables for table in pair]
    if is_available("_coder"):
        raw = [table_bytes(table) for table in each]
        return kernel.pack_tokens(tokens.tokens, tokens.starts, raw)
    return numpy_bytes(tokens, each)


def numpy_bytes(tokens: Tokens, tables: Sequence[HuffmanTable]) -> bytes:
    """What `write_tokens` is defined as; tables in the order DC, AC, DC, AC, ..."""
    each = tokens.tokens.astype(np.int64)
    symbols = each >> 16
    code = np.concatenate([codes(table) for table in tables])[symbols]
    length = np.concatenate([code_lengths(table) for table in tables])[symbols]
    size = symbols & 15
    return pack_scan(code << size | each & 0xFFFF, length + size, tokens.starts[:-1])
