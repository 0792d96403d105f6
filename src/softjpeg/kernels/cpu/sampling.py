"""`softjpeg.codec.probabilistic`'s draws in C, many coefficients at a time."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.library import library


def sample_indices(
    z: npt.NDArray[np.float32],
    q: npt.NDArray[np.float32],
    hardness: npt.NDArray[np.float32],
    *,
    reach: int,
    seed: int,
    first: int = 0,
) -> npt.NDArray[np.int16] | None:
    """Indices drawn from the CPMF; None where it reaches too far.

    Args:
        z: (N, 64) coefficients, pixel scale.
        q, hardness: (64,) > 0.
        reach: how far from the nearest index one may lie.
        seed: of SplitMix64, 64 bits.
        first: how many blocks were drawn before these with the same seed.

    Returns:
        (N, 64), DC -1024..1023, AC -1023..1023.
    """
    z, q, hardness = (np.require(x, np.float32, ["C", "A"]) for x in (z, q, hardness))
    if z.shape[1:] != (64,) or q.shape != (64,) or hardness.shape != (64,):
        raise ValueError(f"z must have shape (N, 64), got {z.shape}, {q.shape}, {hardness.shape}")
    indices = np.empty(z.shape, dtype=np.int16)
    drawn = library("_decisions").sample_indices(
        ctypes.c_int64(len(z)),
        ctypes.c_void_p(z.ctypes.data),
        ctypes.c_void_p(q.ctypes.data),
        ctypes.c_void_p(hardness.ctypes.data),
        ctypes.c_int(reach),
        ctypes.c_uint64(seed),
        ctypes.c_uint64(first),
        ctypes.c_void_p(indices.ctypes.data),
    )
    return indices if drawn else None
