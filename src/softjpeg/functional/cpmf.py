"""The conditional probability mass function ``P(i|z)`` (JPEG-DL, eqs. 3-4) and samples from it.

Sampling an index instead of rounding to it is *probabilistic quantization*, J4D's encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats
from softjpeg.functional.soft_quantizer import check_index_set, nearest_index, reach


def cpmf(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    levels: int | None = None,
    window: int | None = None,
) -> tuple[Tensor, Tensor]:
    """``P(i|z) = exp(-α(z - iq)²) / Σ_j exp(-α(z - jq)²)`` over the indices that matter.

    Args:
        z: coefficients, any float shape, pixel scale.
        q: steps > 0, broadcastable to z.
        alpha: sharpness α > 0 = hardness / q², broadcastable to z.
        levels: L of the index set {-L..L}; None for all integers.
        window: odd number W of indices around the nearest one; None for as many as the softest
            entry of the table needs.

    Returns:
        (indices, probabilities), each (..., W); probabilities are differentiable, sum to 1 and are
        0 outside the index set.

    >>> i, p = cpmf(torch.tensor(4.0), torch.tensor(10.0), torch.tensor(0.2), window=3)
    >>> i.tolist(), p.numpy().round(3)
    ([-1.0, 0.0, 1.0], array([0.   , 0.982, 0.018], dtype=float32))
    """
    check_floats(z=z)
    check_index_set(levels, window)
    half = window // 2 if window is not None else reach(alpha * q**2)
    c, _ = nearest_index(z.detach(), q.detach(), levels)
    offsets = torch.arange(-half, half + 1, dtype=z.dtype, device=z.device)
    # Sums over a short last axis are slow: the window comes first until the end.
    indices = c + offsets.reshape(-1, *[1] * z.ndim)
    logits = -alpha * (z - indices * q) ** 2
    if levels is not None:
        logits = logits.masked_fill(indices.abs() > levels, -torch.inf)
    return indices.movedim(0, -1), torch.softmax(logits, dim=0).movedim(0, -1)


def sample_index(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    levels: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One index per coefficient, drawn from the CPMF.

    Args:
        z, q, alpha, levels: as in `cpmf`.
        generator: source of randomness, on z's device; the same state gives the same indices.

    Returns:
        Integers in z's float dtype, z's shape.

    >>> z, q = torch.full((1000,), 5.0), torch.tensor(10.0)
    >>> i = sample_index(z, q, torch.tensor(0.2), generator=torch.Generator().manual_seed(0))
    >>> i.unique().tolist(), bool(450 < i.sum() < 550)
    ([0.0, 1.0], True)
    """
    check_floats(z=z)
    uniform = torch.rand(z.shape, dtype=z.dtype, device=z.device, generator=generator)
    return index_at(1 - uniform, z, q, alpha, levels=levels)


def index_at(
    uniform: Tensor, z: Tensor, q: Tensor, alpha: Tensor, *, levels: int | None = None
) -> Tensor:
    """The index that a uniform number chooses: the CPMF's cumulative sum inverted.

    Args:
        uniform: z's shape, in (0, 1], so that an index of probability 0 is never chosen.
        z, q, alpha, levels: as in `cpmf`.

    Returns:
        Integers in z's float dtype, z's shape.

    >>> z, q = torch.tensor([5.0, 5.0]), torch.tensor(10.0)
    >>> index_at(torch.tensor([0.4, 0.6]), z, q, torch.tensor(0.2)).tolist()
    [0.0, 1.0]
    """
    indices, probabilities = cpmf(z, q, alpha, levels=levels)
    cumulative = probabilities.cumsum(-1)
    point = uniform[..., None] * cumulative[..., -1:]
    return indices.gather(-1, (cumulative < point).sum(-1, keepdim=True)).squeeze(-1)
