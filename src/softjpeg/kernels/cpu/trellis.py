"""The decisions of `softjpeg.codec.trellis` in C, block by block."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.library import library

Floats = npt.NDArray[np.float64]


def decide_blocks(
    z: npt.NDArray[np.float32],
    steps: Floats,
    weights: Floats,
    block_weights: Floats | None,
    costs: Floats,
    end_cost: float,
) -> npt.NDArray[np.int16]:
    """Indices of least ``Σ w·(z - kq)² + cost`` of each block.

    Args:
        z: (N, 64) coefficients, raster order.
        steps: (64,) > 0.
        weights: (N, 64), or (1, 64) for all blocks; ≥ 0.
        block_weights: (N,) ≥ 0 that these are multiplied by, if any.
        costs: (12, 63) ≥ 0: of a coefficient by its size and the run of zeros before it.
        end_cost: ≥ 0, of the code that ends a block early.

    Returns:
        (N, 64), DC -1024..1023, AC -1023..1023.
    """
    blocks = len(z)
    z = np.require(z, np.float32, ["C", "A"])
    steps, weights, costs, block_weights = (
        np.require(x, np.float64, ["C", "A"])
        for x in (steps, weights, costs, () if block_weights is None else block_weights)
    )
    for name, array, shapes in (
        ("z", z, ((blocks, 64),)),
        ("steps", steps, ((64,),)),
        ("weights", weights, ((1, 64), (blocks, 64))),
        ("costs", costs, ((12, 63),)),
        ("block_weights", block_weights, ((0,), (blocks,))),
    ):
        if array.shape not in shapes:
            raise ValueError(f"{name} must have shape {shapes[-1]}, got {array.shape}")
    indices = np.empty((blocks, 64), dtype=np.int16)
    _kernel()(
        blocks,
        z.ctypes.data,
        steps.ctypes.data,
        weights.ctypes.data,
        64 if len(weights) > 1 else 0,
        block_weights.ctypes.data if block_weights.size else None,
        costs.ctypes.data,
        end_cost,
        indices.ctypes.data,
    )
    return indices


def _kernel() -> Callable[..., None]:
    at, size, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    kernel = library("_decisions").decide_blocks
    kernel.argtypes = (size, at, at, at, size, at, at, number, at)
    kernel.restype = None
    decide: Callable[..., None] = kernel
    return decide
