"""Quantized coefficients to the bytes of a baseline JFIF file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softjpeg.codec import markers
from softjpeg.entropy.huffman import HuffmanTable, code_lengths, codes
from softjpeg.entropy.layout import ScanLayout
from softjpeg.entropy.limits import check_coefficients
from softjpeg.entropy.packing import pack_scan
from softjpeg.entropy.scan import (
    Symbols,
    choose_tables,
    scan_blocks,
    scan_symbols,
    symbol_counts,
)
from softjpeg.tables import Table, validate_table


def write_coefficients(
    coefficients: Sequence[Any],
    tables: Any,
    *,
    size: tuple[int, int],
    subsampling: str = "4:4:4",
    optimize: bool = True,
    restart_interval: int = 0,
) -> bytes:
    """Write quantized DCT coefficients, unchanged, as a baseline JPEG file.

    The file is laid out as libjpeg does it, so that from the same coefficients both write the same
    bytes.

    Args:
        coefficients: 1 (gray) or 3 (Y, Cb, Cr) integer arrays (rows, columns, 8, 8) of quantized
            indices in raster order: DC -1024..1023, AC -1023..1023. A component has
            ceil(ceil(height * V / Vmax) / 8) rows of blocks, columns likewise; one padded to whole
            MCUs is cropped to that.
        tables: quantization tables (8, 8) of integers 1..255: one for gray; (luma, chroma) or
            (luma, cb, cr) for colour.
        size: (height, width) of the image in pixels, 1..65535.
        subsampling: "4:4:4", "4:2:2" (h2v1) or "4:2:0"; ignored for gray.
        optimize: compute optimal Huffman tables for this image, else use those of Annex K.
        restart_interval: put a restart marker every so many MCUs, 0..65535; 0 = none.

    Returns:
        The file: SOI, APP0, DQT, SOF0, DHT, DRI if any, SOS, scan, EOI.

    Raises:
        ValueError: an argument out of its range or a shape that does not fit `size`; one sentence
            that names the argument and the value.

    >>> luma = np.zeros((1, 2, 8, 8), dtype=np.int16)
    >>> luma[0, 0, 0, 1] = 3
    >>> data = write_coefficients([luma], np.full((8, 8), 16), size=(8, 16))
    >>> data[:4].hex(" "), len(data)
    ('ff d8 ff e0', 160)
    """
    planes, layout = check_coefficients(
        coefficients, size=size, subsampling=subsampling, restart_interval=restart_interval
    )
    dqt, table_of = _quantization_tables(tables, len(planes))
    symbols = scan_symbols(scan_blocks(planes, layout, restart_interval), layout)
    huffman = choose_tables(symbol_counts(symbols)[0], optimize)
    return b"".join(
        [
            bytes([0xFF, markers.SOI]),
            markers.jfif(),
            *(markers.quantization_table(number, table) for number, table in enumerate(dqt)),
            markers.frame_header(size, layout.factors, table_of),
            *(
                markers.huffman_table(bool(number % 2), number // 2, table)
                for number, table in enumerate(huffman[: 2 if len(planes) == 1 else 4])
            ),
            markers.restart_interval_definition(restart_interval) if restart_interval else b"",
            markers.scan_header([0, 1, 1][: len(planes)]),
            _scan(symbols, huffman, layout, restart_interval),
            bytes([0xFF, markers.EOI]),
        ]
    )


def _scan(
    symbols: Symbols, tables: Sequence[HuffmanTable], layout: ScanLayout, restart_interval: int
) -> bytes:
    code = np.concatenate([codes(table) for table in tables])[symbols.codes]
    length = np.concatenate([code_lengths(table) for table in tables])[symbols.codes]
    size = symbols.codes & 15
    # T.81 F.1.2.1: a negative value sends the low bits of itself less one.
    extra = (symbols.values - (symbols.values < 0)) & ((1 << size) - 1)
    interval = restart_interval * layout.blocks_per_mcu or len(symbols.starts)
    return pack_scan(code << size | extra, length + size, symbols.starts[::interval])


def _quantization_tables(tables: Any, components: int) -> tuple[list[Table], list[int]]:
    """The tables to write and, per component, which of them it uses."""
    given = [tables] if len(tables) == 8 else list(tables)
    wanted = "1 table for gray" if components == 1 else "2 or 3 tables for colour"
    if len(given) not in ((1,) if components == 1 else (2, 3)):
        raise ValueError(f"tables must hold {wanted}, got {len(given)}")
    valid = [validate_table(f"tables[{index}]", table) for index, table in enumerate(given)]
    if len(valid) == 3 and np.array_equal(valid[1], valid[2]):
        valid.pop()
    return valid, [0, 1, len(valid) - 1][:components]
