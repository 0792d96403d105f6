"""Blocks and MCUs: how the components of an image are cut up and interleaved in a scan.

A component is sampled H times per MCU horizontally and V times vertically (T.81 A.1.1). At the
right and bottom edge an MCU may reach past the component; the blocks it lacks are dummy blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.subsampling import luma_factors

Scalar = TypeVar("Scalar", bound=np.generic)


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
    luma = luma_factors(subsampling)
    return ((1, 1),) if components == 1 else (luma, (1, 1), (1, 1))


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
    height, width = size
    chosen = tuple(range(len(factors)) if members is None else members)
    return _scan_layout(height, width, tuple(map(tuple, factors)), chosen)


# Files of one size come in numbers. Typed, for a size that equals another may be of floats.
@functools.lru_cache(maxsize=64, typed=True)
def _scan_layout(
    height: int, width: int, factors: tuple[tuple[int, int], ...], members: tuple[int, ...]
) -> ScanLayout:
    h_max, v_max = (max(column) for column in zip(*factors, strict=True))
    shapes = tuple(
        (_ceil_div(_ceil_div(height * v, v_max), 8), _ceil_div(_ceil_div(width * h, h_max), 8))
        for h, v in (factors[member] for member in members)
    )
    if len(shapes) == 1:  # Not interleaved: an MCU is one block (T.81 A.2.2).
        return ScanLayout(((1, 1),), shapes, shapes[0])
    mcus = (_ceil_div(height, 8 * v_max), _ceil_div(width, 8 * h_max))
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


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)
