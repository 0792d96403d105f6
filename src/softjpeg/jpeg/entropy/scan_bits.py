"""The exact number of bits that a baseline scan takes, without writing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, code_lengths, optimal_codes
from softjpeg.jpeg.entropy.layout import ScanLayout
from softjpeg.jpeg.entropy.limits import Coefficients, check_coefficients
from softjpeg.jpeg.entropy.symbols import Ints, component_counts
from softjpeg.jpeg.subsampling import Subsampling

_EXTRA_BITS = np.arange(256) & 15  # The low half of a symbol: the bits that follow its code.


def scan_bits(
    coefficients: Sequence[Any],
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    optimize: bool = True,
    restart_interval: int = 0,
) -> int:
    """Exact number of entropy-coded bits of a scan, before byte stuffing and padding.

    Args:
        coefficients: 1 (gray) or 3 (Y, Cb, Cr) integer arrays (rows, columns, 8, 8) of quantized
            indices in raster order: DC -1024..1023, AC -1023..1023.
        size: (height, width) of the image in pixels, 1..65535.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        optimize: count with the optimal Huffman tables for this image, else with Annex K's.
        restart_interval: in MCUs; 0 = off.

    Raises:
        ValueError: an argument out of its range or a shape that does not fit `size`.

    >>> scan_bits([np.zeros((2, 2, 8, 8), dtype=np.int16)], size=(16, 16))
    8
    """
    planes, layout = check_coefficients(
        coefficients, size=size, subsampling=subsampling, restart_interval=restart_interval
    )
    return int(_bits(planes, layout, optimize, restart_interval)[0])


def scan_bits_batch(
    coefficients: Sequence[Any],
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    optimize: bool = True,
    restart_interval: int = 0,
) -> Ints:
    """`scan_bits` of every image of a batch, its Huffman tables optimized for it by itself.

    Args:
        coefficients: 1 (gray) or 3 (Y, Cb, Cr) integer arrays (batch, rows, columns, 8, 8).
        size: (height, width) of the images in pixels, 1..65535.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        optimize: count with the optimal Huffman tables for each image, else with Annex K's.
        restart_interval: in MCUs; 0 = off.

    Returns:
        (batch,) int64.

    Raises:
        ValueError: an argument out of its range or a shape that does not fit `size`.

    >>> zeros = np.zeros((3, 2, 2, 8, 8), dtype=np.int16)
    >>> scan_bits_batch([zeros], size=(16, 16)).tolist()
    [8, 8, 8]
    """
    planes, layout = check_coefficients(
        coefficients,
        size=size,
        subsampling=subsampling,
        restart_interval=restart_interval,
        batched=True,
    )
    return _bits(planes, layout, optimize, restart_interval)


def _bits(
    planes: Sequence[Coefficients], layout: ScanLayout, optimize: bool, restart_interval: int
) -> Ints:
    counts = component_counts(planes, layout, restart_interval)
    grouped = np.stack([counts[:, 0], counts[:, 1:].sum(axis=1)], axis=1).reshape(-1, 4, 256)
    bits: Ints = grouped.sum(axis=1) @ _EXTRA_BITS
    if optimize:
        codes = [bits_of_codes for _, bits_of_codes in optimal_codes(grouped.reshape(-1, 256))]
        bits += np.array(codes, dtype=np.int64).reshape(-1, 4).sum(axis=1)
    else:
        lengths = np.stack([code_lengths(table) for table in STANDARD_TABLES])
        bits += (grouped * lengths).sum(axis=(1, 2))
    return bits
