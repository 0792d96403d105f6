"""What a baseline scan can hold: sizes, shapes and value ranges (T.81 F.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.entropy.layout import ScanLayout, sampling_factors, scan_layout
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available

MAX_AC = 1023
MIN_DC, MAX_DC = -1024, 1023  # Any two differ by 11 bits at most, the baseline limit.

BEYOND_BASELINE = (
    "coefficients must be from -1023 to 1023 for AC, and differ by 2047 at most from one DC to the "
    "next, in baseline JPEG"
)

Coefficients = npt.NDArray[np.int16]


def check_coefficients(
    coefficients: Sequence[Any],
    *,
    size: tuple[int, int],
    subsampling: Subsampling,
    restart_interval: int = 0,
    batched: bool = False,
    ranges: bool = True,
) -> tuple[tuple[Coefficients, ...], ScanLayout]:
    """Refuse what a baseline scan cannot hold; crop planes padded to whole MCUs.

    Args:
        coefficients: 1 (gray) or 3 (Y, Cb, Cr) integer arrays (rows, columns, 8, 8), raster order.
        size: (height, width) of the image in pixels, 1..65535.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        restart_interval: in MCUs, 0..65535; 0 = off.
        batched: arrays are (batch, rows, columns, 8, 8).
        ranges: of int16 are checked too; other integers always are.

    Returns:
        Per component (batch, rows, columns, 64) int16, raster order; the layout of their scan.

    Raises:
        ValueError: one sentence that names the argument and its offending value.
    """
    if len(size) != 2 or not all(1 <= side <= 65535 for side in size):
        raise ValueError(f"size must be (height, width), each from 1 to 65535, got {size}")
    if not 0 <= restart_interval <= 65535:
        raise ValueError(f"restart_interval must be from 0 to 65535, got {restart_interval}")
    if len(coefficients) not in (1, 3):
        raise ValueError(f"coefficients must have 1 or 3 components, got {len(coefficients)}")
    layout = scan_layout(size, sampling_factors(subsampling, len(coefficients)))
    planes = check_planes(coefficients, layout, batched, ranges)
    if len({len(plane) for plane in planes}) > 1:
        counts = [len(plane) for plane in planes]
        raise ValueError(f"coefficients must have the same batch size throughout, got {counts}")
    return planes, layout


def check_planes(
    coefficients: Sequence[Any],
    layout: ScanLayout,
    batched: bool = False,
    ranges: bool = True,
) -> tuple[Coefficients, ...]:
    """Planes of any number and sampling, refused or cropped as `check_coefficients` does it.

    Args:
        coefficients: per component an integer array (rows, columns, 8, 8), raster order.
        layout: of the scan that is to hold them.
        batched: arrays are (batch, rows, columns, 8, 8).
        ranges: of int16 are checked too; other integers always are.

    Returns:
        Per component (batch, rows, columns, 64) int16.
    """
    return tuple(
        _check_plane(f"coefficients[{index}]", coefficients[index], batched, ranges, *shapes)
        for index, shapes in enumerate(zip(layout.shapes, layout.padded_shapes, strict=True))
    )


def _check_plane(
    name: str,
    plane: Any,
    batched: bool,
    ranges: bool,
    shape: tuple[int, int],
    padded: tuple[int, int],
) -> Coefficients:
    array = np.asarray(plane)
    lead = 1 if batched else 0
    fits = array.ndim == 4 + lead and array.shape[-2:] == (8, 8)
    if not fits or array.shape[lead : lead + 2] not in (shape, padded):
        wanted = f"({'batch, ' if batched else ''}{shape[0]}, {shape[1]}, 8, 8)"
        raise ValueError(f"{name} must have shape {wanted} for this size, got {array.shape}")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got {array.dtype}")
    array = array.reshape(-1, *array.shape[lead : lead + 2], 64)[:, : shape[0], : shape[1]]
    narrow = np.require(array, np.int16, ["C", "A"])
    if array.size and (ranges or array.dtype != np.int16):
        same = array.dtype == np.int16 or np.array_equal(narrow, array)
        low_dc, high_dc, low_ac, high_ac = _extremes(narrow if same else array)
        _check_range(f"{name} DC", (low_dc, high_dc), MIN_DC, MAX_DC)
        _check_range(f"{name} AC", (low_ac, high_ac), -MAX_AC, MAX_AC)
    return narrow


def _extremes(blocks: npt.NDArray[Any]) -> tuple[int, int, int, int]:
    """The least and the greatest DC, then AC, of blocks (..., 64)."""
    if blocks.dtype == np.int16 and is_available("_coder"):
        return kernel.extremes(blocks)
    dc, ac = blocks[..., :1], blocks[..., 1:]
    return int(dc.min()), int(dc.max()), int(ac.min()), int(ac.max())


def _check_range(name: str, extremes: tuple[int, int], low: int, high: int) -> None:
    for extreme in extremes:
        if not low <= extreme <= high:
            raise ValueError(f"{name} must be from {low} to {high} in baseline JPEG, got {extreme}")
