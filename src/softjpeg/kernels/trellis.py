"""`softjpeg.trellis`'s decisions in C, block by block."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.library import library

Floats = npt.NDArray[np.float64]


def decide_blocks(
    z: Floats, steps: Floats, weights: Floats, costs: Floats, end_cost: float
) -> npt.NDArray[np.int16] | None:
    """Indices of least ``Σ w·(z - kq)² + cost`` of each block; None without the kernel.

    Args:
        z: (N, 64) coefficients, raster order.
        steps: (64,) > 0.
        weights: (N, 64), or (1, 64) for all blocks; ≥ 0.
        costs: (12, 63) ≥ 0: of a coefficient by its size and the run of zeros before it.
        end_cost: ≥ 0, of the code that ends a block early.

    Returns:
        (N, 64), DC -1024..1023, AC -1023..1023.
    """
    kernels = library("_decisions")
    if kernels is None:
        return None
    arrays = [np.ascontiguousarray(x, dtype=np.float64) for x in (z, steps, weights, costs)]
    wanted = (z.shape, (64,), (len(weights), 64), (12, 63))
    if [x.shape for x in arrays] != list(wanted) or z.shape[1:] != (64,):
        raise ValueError(f"arrays must have shapes {wanted}, got {[x.shape for x in arrays]}")
    if len(weights) not in (1, len(z)):
        raise ValueError(f"weights must be of 1 or {len(z)} blocks, got {len(weights)}")
    indices = np.empty(z.shape, dtype=np.int16)
    z_at, steps_at, weights_at, costs_at = (ctypes.c_void_p(x.ctypes.data) for x in arrays)
    kernels.decide_blocks(
        ctypes.c_int64(len(z)),
        z_at,
        steps_at,
        weights_at,
        ctypes.c_int64(64 if len(weights) > 1 else 0),
        costs_at,
        ctypes.c_double(end_cost),
        ctypes.c_void_p(indices.ctypes.data),
    )
    return indices
