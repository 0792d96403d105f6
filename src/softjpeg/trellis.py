"""Rate-distortion-optimized coefficient decisions: a trellis with JPEG's true Huffman costs.

Every AC coefficient may keep its nearest index k, take the next one towards zero, or become zero.
Over a block, the indices of least

    J = Σ_j w_j·(z_j - k_j·q_j)² + λ·bits(k)

are found exactly by dynamic programming along the zigzag: the bits of a run/size symbol depend only
on where the nonzero coefficient before it stands, so the state is that place. Runs of 16 zeros, the
end-of-block code and the bits after a symbol are all counted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.entropy.scan import EOB, ZRL
from softjpeg.tables import ZIGZAG

_MISSING = 20.0
"""Bits of a symbol that has no code yet: a long one, and some of its place in the header."""


def run_size_bits(lengths: Tensor) -> Tensor:
    """Bits of a nonzero coefficient after a run of zeros, (63 runs, 12 sizes), with its own bits.

    Args:
        lengths: (256,) code lengths of an AC Huffman table, 0 where a symbol has no code.

    >>> run_size_bits(torch.full((256,), 4))[16, 1].item()  # ZRL, the symbol and its sign
    9.0
    """
    known = torch.where(lengths > 0, lengths.double(), _MISSING)
    run, size = torch.arange(63)[:, None], torch.arange(12)
    return (run // 16) * known[ZRL] + known[((run % 16) << 4) + size] + size


def decide_blocks(
    z: Tensor, q: Tensor, weights: Tensor, rate_weight: float, lengths: Tensor
) -> Tensor:
    """AC indices of least ``Σ w·(z - kq)² + λ·bits``; the DC is rounded.

    Args:
        z: (N, 8, 8) coefficients, pixel scale.
        q: (8, 8) steps.
        weights: (8, 8) or (N, 8, 8) w ≥ 0 of the squared error.
        rate_weight: λ ≥ 0, of a bit.
        lengths: (256,) code lengths of the AC Huffman table in use.

    Returns:
        (N, 8, 8) int64.

    >>> z = torch.zeros(1, 8, 8)
    >>> z[0, 0, 1], z[0, 7, 7] = 30.0, 6.0
    >>> q, w = torch.full((8, 8), 10.0), torch.ones(8, 8)
    >>> k = decide_blocks(z, q, w, 10.0, torch.full((256,), 4))[0]
    >>> k[0, 1].item(), k[7, 7].item()
    (3, 0)
    """
    order = torch.from_numpy(ZIGZAG)
    n = len(z)
    flat = z.reshape(n, 64)[:, order].double()
    steps = q.reshape(64)[order].double()
    weight = weights.double().expand(n, 8, 8).reshape(n, 64)[:, order]
    nearest = torch.round(flat / steps).abs()
    zero_error = weight * flat**2
    zero_error[:, 0] = 0
    dropped = zero_error.cumsum(1)
    costs = rate_weight * run_size_bits(lengths)

    best = torch.full((n, 64), torch.inf, dtype=torch.float64)
    # Less what zeros up to here have cost: then what lies between two places is a difference.
    best[:, 0] = 0
    before = torch.zeros(n, 64, dtype=torch.long)
    chosen = torch.zeros(n, 64)
    for j in range(1, 64):
        rows = torch.nonzero(nearest[:, j] > 0).flatten()
        if not len(rows):
            continue
        start = best[rows, :j] + (dropped[rows, j - 1, None] - dropped[rows, :j])
        for less in (0, 1):
            k = nearest[rows, j] - less
            size = torch.frexp(k)[1].long().clamp(max=11)
            # Place i leaves a run of j - 1 - i.
            paths = start + costs[:j].flip(0).T[size]
            cost, place = paths.min(1)
            error = flat[rows, j].abs() - k * steps[j]
            cost = cost + weight[rows, j] * error**2
            better = (cost < best[rows, j]) & (k > 0)
            at = rows[better]
            best[at, j], before[at, j], chosen[at, j] = (
                cost[better],
                place[better],
                k[better].float(),
            )
    end = best + dropped[:, -1:] - dropped
    known_eob = float(lengths[EOB]) if lengths[EOB] else _MISSING
    end[:, :63] += rate_weight * known_eob
    at = end.argmin(1)
    indices = torch.zeros(n, 64)
    rows = torch.arange(n)
    for _ in range(63):
        alive = at > 0
        if not alive.any():
            break
        rows, at = rows[alive], at[alive]
        indices[rows, at] = chosen[rows, at]
        at = before[rows, at]
    indices = indices * flat.sign()
    indices[:, 0] = torch.round(flat[:, 0] / steps[0])
    result = torch.zeros(n, 64, dtype=torch.long)
    result[:, order] = indices.long()
    return result.reshape(n, 8, 8)
