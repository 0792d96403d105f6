"""Blocks and MCUs: how the components of an image are cut up and interleaved in a scan.

A component is sampled H times per MCU horizontally and V times vertically (T.81 A.1.1). At the
right and bottom edge an MCU may reach past the component; the blocks it lacks are dummy blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
"""Sampling factors (H, V) of luma by name; those of chroma are (1, 1)."""

MAX_AC = 1023
MIN_DC, MAX_DC = -1024, 1023  # Any two differ by 11 bits at most, the baseline limit.

Scalar = TypeVar("Scalar", bound=np.generic)
Coefficients = npt.NDArray[np.int16]


class ScanLayout(NamedTuple):
    """Where the blocks of every component lie in a scan."""

    factors: tuple[tuple[int, int], ...]
    """Per component (H, V): its blocks in one MCU, horizontally and vertically."""
    shapes: tuple[tuple[int, int], ...]
    """Per component (rows, columns) of real blocks."""
    mcus: tuple[int, int]
    """Rows and columns of MCUs."""

    @property
    def padded_shapes(self) -> tuple[tuple[int, int], ...]:
        """Per component (rows, columns) of blocks, dummy blocks included."""
        return tuple((self.mcus[0] * v, self.mcus[1] * h) for h, v in self.factors)

    @property
    def blocks_per_mcu(self) -> int:
        """How many blocks one MCU holds."""
        return sum(h * v for h, v in self.factors)


def sampling_factors(subsampling: str, components: int) -> tuple[tuple[int, int], ...]:
    """Sampling factors (H, V) per component of a gray or colour image.

    Raises:
        ValueError: an unknown `subsampling`.

    >>> sampling_factors("4:2:2", 3)
    ((2, 1), (1, 1), (1, 1))
    """
    if subsampling not in SUBSAMPLINGS:
        raise ValueError(f"subsampling must be one of {', '.join(SUBSAMPLINGS)}, got {subsampling}")
    return ((1, 1),) if components == 1 else (SUBSAMPLINGS[subsampling], (1, 1), (1, 1))


def scan_layout(
    size: tuple[int, int],
    factors: Sequence[tuple[int, int]],
    members: Sequence[int] | None = None,
) -> ScanLayout:
    """The layout of a scan of some components (default: all) of a frame.

    Args:
        size: (height, width) of the image in pixels.
        factors: (H, V) of every component of the frame.
        members: indices of the components in the scan, in scan order.

    >>> scan_layout((17, 40), sampling_factors("4:2:0", 3)).shapes
    ((3, 5), (2, 3), (2, 3))
    """
    h_max, v_max = (max(column) for column in zip(*factors, strict=True))
    members = range(len(factors)) if members is None else members
    shapes = tuple(
        (_ceil_div(_ceil_div(size[0] * v, v_max), 8), _ceil_div(_ceil_div(size[1] * h, h_max), 8))
        for h, v in (factors[member] for member in members)
    )
    if len(shapes) == 1:  # Not interleaved: an MCU is one block (T.81 A.2.2).
        return ScanLayout(((1, 1),), shapes, shapes[0])
    mcus = (_ceil_div(size[0], 8 * v_max), _ceil_div(size[1], 8 * h_max))
    return ScanLayout(tuple(factors[member] for member in members), shapes, mcus)


def to_mcu_order(planes: Sequence[npt.NDArray[Scalar]], layout: ScanLayout) -> npt.NDArray[Scalar]:
    """Interleave planes of blocks into MCUs; dummy blocks become zero.

    Args:
        planes: per component (batch, rows, columns, n).
        layout: of the scan.

    Returns:
        Shape (batch, MCUs, blocks per MCU, n).
    """
    (rows, columns), batch, n = layout.mcus, planes[0].shape[0], planes[0].shape[3]
    result = np.zeros((batch, rows, columns, layout.blocks_per_mcu, n), dtype=planes[0].dtype)
    start = 0
    for plane, (h, v), padded in zip(planes, layout.factors, layout.padded_shapes, strict=True):
        missing = [(0, full - have) for full, have in zip(padded, plane.shape[1:3], strict=True)]
        if any(after for _, after in missing):
            plane = np.pad(plane, [(0, 0), *missing, (0, 0)])
        split = plane.reshape(batch, rows, v, columns, h, n).transpose(0, 1, 3, 2, 4, 5)
        result[..., start : start + h * v, :] = split.reshape(batch, rows, columns, h * v, n)
        start += h * v
    return result.reshape(batch, rows * columns, layout.blocks_per_mcu, n)


def from_mcu_order(
    blocks: npt.NDArray[Scalar], layout: ScanLayout
) -> tuple[npt.NDArray[Scalar], ...]:
    """Inverse of `to_mcu_order` for one image: (MCUs, blocks per MCU, n) to planes."""
    (rows, columns), n = layout.mcus, blocks.shape[-1]
    grid = blocks.reshape(rows, columns, layout.blocks_per_mcu, n)
    planes, start = [], 0
    for (h, v), (real_rows, real_columns) in zip(layout.factors, layout.shapes, strict=True):
        split = grid[:, :, start : start + h * v].reshape(rows, columns, v, h, n)
        plane = split.transpose(0, 2, 1, 3, 4).reshape(rows * v, columns * h, n)
        planes.append(plane[:real_rows, :real_columns])
        start += h * v
    return tuple(planes)


def check_coefficients(
    coefficients: Sequence[Any],
    *,
    size: tuple[int, int],
    subsampling: str,
    restart_interval: int = 0,
    batched: bool = False,
) -> tuple[tuple[Coefficients, ...], ScanLayout]:
    """Refuse what a baseline scan cannot hold; crop planes padded to whole MCUs.

    Returns:
        Per component (batch, rows, columns, 64) int16, raster order; the layout of their scan.

    Raises:
        ValueError: one sentence that names the argument and its offending value.
    """
    height, width = size
    if not (1 <= height <= 65535 and 1 <= width <= 65535):
        raise ValueError(f"size must be (height, width), each from 1 to 65535, got {size}")
    if not 0 <= restart_interval <= 65535:
        raise ValueError(f"restart_interval must be from 0 to 65535, got {restart_interval}")
    if len(coefficients) not in (1, 3):
        raise ValueError(f"coefficients must have 1 or 3 components, got {len(coefficients)}")
    layout = scan_layout((height, width), sampling_factors(subsampling, len(coefficients)))
    planes = tuple(
        _check_plane(f"coefficients[{index}]", coefficients[index], batched, *shapes)
        for index, shapes in enumerate(zip(layout.shapes, layout.padded_shapes, strict=True))
    )
    if len({len(plane) for plane in planes}) > 1:
        counts = [len(plane) for plane in planes]
        raise ValueError(f"coefficients must have the same batch size throughout, got {counts}")
    return planes, layout


def _check_plane(
    name: str, plane: Any, batched: bool, shape: tuple[int, int], padded: tuple[int, int]
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
    _check_range(f"{name} DC", array[..., :1], MIN_DC, MAX_DC)
    _check_range(f"{name} AC", array[..., 1:], -MAX_AC, MAX_AC)
    return array.astype(np.int16)


def _check_range(name: str, values: npt.NDArray[Any], low: int, high: int) -> None:
    for extreme in (values.min(initial=0), values.max(initial=0)):
        if not low <= extreme <= high:
            raise ValueError(f"{name} must be from {low} to {high} in baseline JPEG, got {extreme}")


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
