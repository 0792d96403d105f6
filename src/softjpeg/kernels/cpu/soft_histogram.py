"""`softjpeg.functional.rate.soft_histogram` in C, on arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.arguments import MAX_INDEX
from softjpeg.kernels.library import library

Array = npt.NDArray[Any]


class _Histogram(ctypes.Structure):
    """As in c/soft_histogram.c."""

    _fields_ = (
        ("blocks", ctypes.c_int64),
        ("bins", ctypes.c_int64),
        ("half", ctypes.c_int32),
        ("levels", ctypes.c_int32),
        *((name, ctypes.c_void_p) for name in ("q", "alpha", "lowest")),
    )


def soft_histogram(
    z: Array, q: Array, alpha: Array, lowest: Array, bins: int, half: int, levels: int | None
) -> Array:
    """Sums over the blocks of ``P(i|z)``.

    Args:
        z: (N, 64) float32 coefficients, finite.
        q, alpha: (64,) float32 steps > 0 and sharpness > 0.
        lowest: (64,) float32, the index of a frequency's first bin.
        bins: of each frequency; an index nearer to the ends than `half` counts as if it were not.
        half: indices on each side of the nearest one.
        levels: L of the index set {-L..L}, or None.

    Returns:
        (64, bins) float64.
    """
    marginal = np.zeros((64, bins))
    call, arrays = _call(z, q, alpha, lowest, bins, half, levels)
    _run("soft_histogram", call, arrays[0], marginal)
    return marginal


def gradient(
    z: Array,
    q: Array,
    alpha: Array,
    lowest: Array,
    half: int,
    levels: int | None,
    cost: Array,
    scale: Array,
    *,
    of_z: bool,
) -> tuple[Array | None, Array, Array]:
    """The gradient of ``Σ_m scale_m Σ_blocks Σ_i P(i|z) cost_m(i)`` in z, q and α.

    Args:
        z, q, alpha, lowest, half, levels: as of `soft_histogram`.
        cost: (64, bins) float32.
        scale: (64,) float32.
        of_z: whether that of z is wanted.

    Returns:
        (N, 64) float32 or None; (64,) and (64,) float64.
    """
    if cost.ndim != 2:
        raise ValueError(f"cost must have shape (64, bins), got {cost.shape}")
    call, arrays = _call(z, q, alpha, lowest, cost.shape[1], half, levels)
    to_z = np.empty(z.shape, np.float32) if of_z else None
    to_q, to_alpha = np.zeros(64), np.zeros(64)
    cost, scale = (np.require(x, np.float32, ["C", "A"]) for x in (cost, scale))
    if len(cost) != 64 or scale.shape != (64,):
        raise ValueError(f"cost must have 64 rows and scale 64 values, got {scale.shape}")
    _run("soft_histogram_gradient", call, arrays[0], cost, scale, to_z, to_q, to_alpha)
    return to_z, to_q, to_alpha


def _call(
    z: Array, q: Array, alpha: Array, lowest: Array, bins: int, half: int, levels: int | None
) -> tuple[_Histogram, list[Array]]:
    """The kernel's arguments, and the arrays that they point into."""
    arrays = [np.require(x, np.float32, ["C", "A"]) for x in (z, q, alpha, lowest)]
    if arrays[0].ndim != 2 or arrays[0].shape[1] != 64 or any(x.shape != (64,) for x in arrays[1:]):
        raise ValueError(
            f"z must have shape (N, 64) and tables (64,), got {[x.shape for x in arrays]}"
        )
    if not np.isfinite(arrays[3]).all():
        raise ValueError(f"lowest must be finite, got {arrays[3]}")
    if not 0 <= (levels or 0) <= MAX_INDEX:
        raise ValueError(f"levels must be from 1 to {MAX_INDEX} or None, got {levels}")
    if not 0 <= half < bins - half:
        raise ValueError(f"bins must be more than twice {half}, got {bins}")
    pointers = (x.ctypes.data for x in arrays[1:])
    return _Histogram(len(z), bins, half, levels or 0, *pointers), arrays


def _run(name: str, call: _Histogram, *arrays: Array | None) -> None:
    pointers = (None if x is None else ctypes.c_void_p(x.ctypes.data) for x in arrays)
    if getattr(library("_decisions"), name)(ctypes.byref(call), *pointers):
        raise MemoryError(f"no memory for {call.half} indices on each side")
