"""Rate-distortion-optimized coefficient decisions: a trellis with JPEG's true Huffman costs.

Every AC coefficient may keep its nearest index k, take the next one towards zero, or become zero.
Over a block, the indices of least

    J = Σ_j w_j·(z_j - k_j·q_j)² + λ·bits(k)

are found exactly by dynamic programming along the zigzag: the bits of a run/size symbol depend only
on where the nonzero coefficient before it stands, so the state is that place. Runs of 16 zeros, the
end-of-block code and the bits after a symbol are all counted. Costs are counted from those of a
block of zeros: to keep index k saves ``w·kq·(2z - kq)``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softjpeg.jpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.jpeg.entropy.symbols import EOB, ZRL
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.kernels.cpu import trellis as kernel
from softjpeg.kernels.library import is_available

Floats = npt.NDArray[np.float64]

_MISSING = 20.0
"""Bits of a symbol that has no code yet: a long one, and some of its place in the header."""

_RUN, _SIZE = np.arange(63)[:, None], np.arange(12)
_SYMBOL = (_RUN % 16 << 4) + _SIZE


def run_size_bits(lengths: Tensor) -> Tensor:
    """Bits of a nonzero coefficient after a run of zeros, (63 runs, 12 sizes), with its own bits.

    Args:
        lengths: (256,) code lengths of an AC Huffman table, 0 where a symbol has no code.

    >>> run_size_bits(torch.full((256,), 4))[16, 1].item()  # ZRL, the symbol and its sign
    9.0
    """
    code_bits = lengths.numpy()
    costs = np.where(code_bits > 0, code_bits, _MISSING)
    return torch.from_numpy(_RUN // 16 * costs[ZRL] + costs[_SYMBOL] + _SIZE)


def decide_blocks(
    z: Tensor,
    q: Tensor,
    weights: Tensor,
    rate_weight: float,
    lengths: Tensor,
    *,
    block_weights: Tensor | None = None,
) -> Tensor:
    """AC indices of least ``Σ w·(z - kq)² + λ·bits``; the DC is rounded.

    Args:
        z: (N, 8, 8) coefficients, pixel scale; in float32.
        q: (8, 8) steps.
        weights: (8, 8) or (N, 8, 8) w ≥ 0 of the squared error.
        rate_weight: λ ≥ 0, of a bit.
        lengths: (256,) code lengths of the AC Huffman table in use.
        block_weights: (N,) ≥ 0 that these weights are multiplied by.

    Returns:
        (N, 8, 8) int16, within what baseline JPEG can hold.

    >>> z = torch.zeros(1, 8, 8)
    >>> z[0, 0, 1], z[0, 7, 7] = 30.0, 6.0
    >>> q, w = torch.full((8, 8), 10.0), torch.ones(8, 8)
    >>> k = decide_blocks(z, q, w, 10.0, torch.full((256,), 4))[0]
    >>> k[0, 1].item(), k[7, 7].item()
    (3, 0)
    """
    flat = z.detach().float().numpy().reshape(-1, 64)
    steps, table = (x.detach().double().numpy().reshape(-1, 64) for x in (q, weights))
    factors = None if block_weights is None else block_weights.detach().double().numpy()
    costs = (rate_weight * run_size_bits(lengths)).numpy().T
    end_cost = rate_weight * (float(lengths[EOB]) or _MISSING)
    if is_available("_decisions"):
        indices = kernel.decide_blocks(flat, steps[0], table, factors, costs, end_cost)
    else:
        each = table if factors is None else table * factors[:, None]
        indices = _decide(flat.astype(np.float64), steps, each, costs, end_cost)
    return torch.from_numpy(indices.reshape(z.shape))


def _decide(
    z: Floats, steps: Floats, weights: Floats, costs: Floats, end_cost: float
) -> npt.NDArray[np.int16]:
    """All blocks at once, place by place: z (N, 64), costs by size and run."""
    n = len(z)
    flat, step, weight = (np.broadcast_to(x, (n, 64))[:, ZIGZAG] for x in (z, steps, weights))
    magnitude = np.abs(flat)
    # As torch.round, halves to even.
    nearest = np.minimum(np.rint(magnitude / step), MAX_AC)
    # The next index towards zero has a shorter code only where it loses a bit.
    loses_a_bit = (np.frexp(nearest)[0] == 0.5) & (nearest > 1)

    # The least cost of a path that ends at a place, less that of zeros.
    best = np.full((n, 64), np.inf)
    best[:, 0] = 0
    before = np.zeros((n, 64), dtype=np.int64)
    chosen = np.zeros((n, 64))
    for j in range(1, 64):
        for less, among in ((0, nearest > 0), (1, loses_a_bit)):
            rows = np.flatnonzero(among[:, j])
            k = nearest[rows, j] - less
            # Place i before place j leaves a run of j - 1 - i.
            paths = best[rows, :j] + costs[np.frexp(k)[1], j - 1 :: -1]
            place = paths.argmin(1)
            dequantized = k * step[rows, j]
            saved = weight[rows, j] * (dequantized * (2 * magnitude[rows, j] - dequantized))
            cost = paths[np.arange(len(rows)), place] - saved
            better = cost < best[rows, j]
            at = rows[better]
            best[at, j], before[at, j], chosen[at, j] = cost[better], place[better], k[better]
    end = best.copy()
    end[:, :63] += end_cost
    at, rows = end.argmin(1), np.arange(n)
    indices = np.zeros((n, 64))
    while len(rows):
        rows, at = rows[at > 0], at[at > 0]
        indices[rows, at] = chosen[rows, at]
        at = before[rows, at]
    indices *= np.sign(flat)
    indices[:, 0] = np.clip(np.rint(flat[:, 0] / step[:, 0]), MIN_DC, MAX_DC)
    result = np.empty((n, 64), dtype=np.int16)
    result[:, ZIGZAG] = indices
    return result
