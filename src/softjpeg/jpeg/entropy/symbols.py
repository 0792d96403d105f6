"""The symbols of a baseline scan: DC differences, run/size, ZRL and EOB (T.81 F.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.entropy.layout import ScanLayout, to_mcu_order
from softjpeg.jpeg.entropy.limits import BEYOND_BASELINE, Coefficients
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available

Ints = npt.NDArray[np.int64]

LUMA_CHROMA = (0, 1, 1, 1)
"""Per component the group whose two Huffman tables code it: Y by itself, the others together."""
EOB, ZRL = 0x00, 0xF0

_CHUNK_BLOCKS = 1024  # As many blocks at a time as stay in the cache.

_SIZES = np.array([abs(value).bit_length() for value in range(-2047, 2048)], dtype=np.int64)


class Symbols(NamedTuple):
    """The Huffman-coded symbols of a batch of scans, in the order they are sent."""

    codes: Ints
    """Shape (n,): table × 256 + symbol; group g has the tables 2g for DC and 2g + 1 for AC."""
    values: Ints
    """Shape (n,): the coefficient or DC difference that the symbol announces, else 0."""
    starts: Ints
    """Shape (blocks,): index of each block's first symbol."""


def scan_blocks(
    planes: Sequence[Coefficients], layout: ScanLayout, restart_interval: int = 0
) -> Coefficients:
    """Blocks in scan order, zigzag, with DC replaced by its difference to the prediction.

    Args:
        planes: per component (batch, rows, columns, 64) int16, raster order.
        layout: of the scan.
        restart_interval: in MCUs; 0 = the prediction is never reset.

    Returns:
        Shape (batch, MCUs, blocks per MCU, 64) int16.
    """
    blocks = np.take(to_mcu_order(planes, layout), ZIGZAG, axis=-1)
    dc = blocks[..., 0].copy()
    if layout.shapes != layout.padded_shapes:
        _fill_dummy_dc(dc, layout)
    start = 0
    for h, v in layout.factors:
        component = dc[:, :, start : start + h * v].reshape(len(dc), -1)
        difference = np.diff(component, axis=1, prepend=0)
        if restart_interval:
            interval = restart_interval * h * v
            difference[:, ::interval] = component[:, ::interval]
        blocks[:, :, start : start + h * v, 0] = difference.reshape(len(dc), -1, h * v)
        start += h * v
    return blocks


def _fill_dummy_dc(dc: Coefficients, layout: ScanLayout) -> None:
    """Give dummy blocks the DC of the block before them, so that their difference is 0."""
    ones = [np.ones((1, *shape, 1), dtype=np.bool_) for shape in layout.shapes]
    real = to_mcu_order(ones, layout)[0, :, :, 0]
    for block in range(1, layout.blocks_per_mcu):
        # The first block that a component has in an MCU is always real.
        dc[:, :, block] = np.where(real[:, block], dc[:, :, block], dc[:, :, block - 1])


def scan_symbols(
    blocks: Coefficients, layout: ScanLayout, groups: Sequence[int] = LUMA_CHROMA
) -> Symbols:
    """Run/size symbols of blocks in scan order.

    Args:
        blocks: int16, zigzag, DC differenced, as `scan_blocks` returns them.
        layout: of the scan.
        groups: per component the group whose Huffman tables it uses.
    """
    flat = blocks.reshape(-1)
    is_sent = blocks != 0
    is_sent[..., 0] = True  # DC is sent even when it is 0.
    slots = np.flatnonzero(is_sent)
    values = flat[slots]
    zigzag = slots & 63
    is_dc = zigzag == 0

    # DC always precedes the first AC, so a gap never spans two blocks.
    runs = np.diff(slots, prepend=0) - 1
    runs[is_dc] = 0
    zrl = runs >> 4
    last = np.append(is_dc[1:], True)
    eob = last & (zigzag != 63)

    tables = np.tile(_block_tables(layout, groups), flat.size // 64 // layout.blocks_per_mcu)[
        slots >> 6
    ]
    run_size = tables + (runs & 15) * 16 + _SIZES[values + 2047] + ~is_dc * 256

    counts = 1 + zrl + eob
    ends = np.cumsum(counts)
    positions = ends - 1 - eob
    total = int(ends[-1]) if len(ends) else 0
    codes = np.repeat(tables + (256 + ZRL), counts)
    codes[positions] = run_size
    codes[ends[eob] - 1] = tables[eob] + (256 + EOB)
    sent = np.zeros(total, dtype=np.int64)
    sent[positions] = values
    return Symbols(codes, sent, positions[is_dc])


def _block_tables(layout: ScanLayout, groups: Sequence[int]) -> Ints:
    """Per block of an MCU, 256 × its DC table."""
    blocks = [h * v for h, v in layout.factors]
    return np.repeat([512 * group for group in groups[: len(blocks)]], blocks)


def symbol_counts(symbols: Symbols, batch: int = 1, groups: int = 2) -> Ints:
    """How often each symbol occurs in each image of a batch.

    Args:
        symbols: of all the images, one after the other.
        batch: how many images there are.
        groups: how many groups of components have Huffman tables of their own.

    Returns:
        (batch, 2 × groups, 256): of each group DC, then AC.
    """
    bins = 2 * groups * 256
    per_image = len(symbols.starts) // max(batch, 1)
    ends = np.append(symbols.starts, len(symbols.codes))
    images = np.repeat(np.arange(batch), np.diff(ends[::per_image])) if batch > 1 else 0
    keys = symbols.codes + images * bins
    return np.bincount(keys, minlength=batch * bins).reshape(batch, 2 * groups, 256)


def component_counts(
    planes: Sequence[Coefficients], layout: ScanLayout, restart_interval: int = 0
) -> Ints:
    """How often each symbol occurs in each image and component of a batch.

    Args:
        planes: per component (batch, rows, columns, 64) int16, raster order, as
            `check_coefficients` returns them.
        layout: of each image's scan.
        restart_interval: in MCUs; 0 = off.

    Returns:
        Shape (batch, components, 2: DC and AC, 256).

    >>> from softjpeg.jpeg.entropy.layout import scan_layout
    >>> plane = np.zeros((1, 1, 1, 64), dtype=np.int16)
    >>> counts = component_counts([plane], scan_layout((8, 8), [(1, 1)]))
    >>> counts.shape, counts[0, 0, :, 0].tolist()  # One DC of size 0, one EOB.
    ((1, 1, 2, 256), [1, 1])
    """
    if is_available("_coder"):
        planes = [np.require(plane, np.int16, ["C", "A"]) for plane in planes]
        counts = kernel.count_symbols(planes, kernel.layout_of(*layout, restart_interval))
        if counts is None:
            raise ValueError(BEYOND_BASELINE)
        return counts
    return numpy_counts(planes, layout, restart_interval)


def numpy_counts(
    planes: Sequence[Coefficients], layout: ScanLayout, restart_interval: int = 0
) -> Ints:
    """What `component_counts` is defined as, in NumPy.

    Args:
        planes: per component (batch, rows, columns, 64) int16, raster order.
        layout: of each image's scan.
        restart_interval: in MCUs; 0 = off.

    Returns:
        Shape (batch, components, 2: DC and AC, 256).
    """
    components = len(planes)
    chunk = max(1, _CHUNK_BLOCKS // sum(rows * columns for rows, columns in layout.shapes))
    counts = [np.zeros((0, components, 2, 256), dtype=np.int64)]
    for start in range(0, len(planes[0]), chunk):
        part = [plane[start : start + chunk] for plane in planes]
        blocks = scan_blocks(part, layout, restart_interval)
        symbols = scan_symbols(blocks, layout, range(components))
        counted = symbol_counts(symbols, len(part[0]), components)
        counts.append(counted.reshape(-1, components, 2, 256))
    return np.concatenate(counts)
