"""Moments of the lattice offset under the CPMF of JPEG-DL (eqs. 3-4), without a window axis.

About the nearest index c, with ``r = z - cq``, ``h = αq²`` and ``k = i - c``, the weights are
``w_k = exp(αqk(2r - kq))``. Each function here returns (E[k],), or with `all_moments`
(E[k], Var(k), Cov(k, (r/q - k)²)), every one of r's shape; q and α broadcast to r.

* `five_points`: |k| ≤ 2, exact to float32 for h ≥ 2.5, in two transcendental calls.
* `theta`: all k by Poisson summation, ``S(u) = 1 + 2 Σ_n exp(-π²n²/h) cos 2πnu``; two terms of it
  are exact to float32 for h ≤ 2.5.
* `direct_sum`: term by term, for any window and at the ends of a finite index set.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Moments = tuple[Tensor, ...]


def five_points(r: Tensor, q: Tensor, alpha: Tensor, *, all_moments: bool) -> Moments:
    """Sum over \\|k\\| ≤ 2.

    With ``s = w₁ + w₋₁``, ``g = tanh 2αqr`` and ``e = e^{-2h}``: ``w₁ - w₋₁ = gs``,
    ``w₂ - w₋₂ = ges²`` and ``w₂ + w₋₂ = es² - 2e²``, all relatively accurate down to r = 0.

    Args:
        r: residuals ``z - cq`` to the nearest index, any float shape.
        q, alpha: steps > 0 and sharpness α > 0, broadcastable to r.
        all_moments: (E k, Var k, Cov(k, (r/q - k)²)) instead of (E k,).

    >>> r, q = torch.tensor([0.0, 5.0]), torch.tensor(10.0)
    >>> [round(m, 6) for m in five_points(r, q, 1 / q, all_moments=False)[0].tolist()]
    [0.0, 0.5]
    """
    h = alpha * q**2
    e = _weight(-2 * h)
    g = torch.tanh(r * (2 * alpha * q))
    # |r| - q/2 first: near a tie it is exact, and so is a weight near 1.
    s = 2 * _weight((r.abs() - q / 2) * (2 * alpha * q)) / (1 + g.abs())
    p = s * s * e
    total = s + p + (1 - 2 * e**2)
    mean = g * (s + 2 * p) / total
    if not all_moments:
        return (mean,)
    second = (s + 4 * p - 8 * e**2) / total
    third = g * (s + 8 * p) / total
    return _centred(mean, second, third, r / q)


def theta(r: Tensor, q: Tensor, alpha: Tensor, *, all_moments: bool) -> Moments:
    """Sum over all k: moments from log S; ∂S/∂h follows from the heat equation ``S_h = -S''/4h²``.

    Args:
        r: residuals ``z - cq`` to the nearest index, any float shape.
        q, alpha: steps > 0 and sharpness α > 0, broadcastable to r.
        all_moments: (E k, Var k, Cov(k, (r/q - k)²)) instead of (E k,).

    >>> theta(torch.tensor(3.0), torch.tensor(10.0), torch.tensor(1e-3), all_moments=False)
    (tensor(0.3000),)
    """
    h = alpha * q**2
    d = r / q
    angle = 2 * math.pi * d
    cos1, sin1 = torch.cos(angle), torch.sin(angle)
    cos2, sin2 = 2 * cos1**2 - 1, 2 * sin1 * cos1
    e1 = _weight(-(math.pi**2) / h)
    e2 = _weight(-4 * (math.pi**2) / h)
    s0 = 1 + 2 * (e1 * cos1 + e2 * cos2)
    s1 = -4 * math.pi * (e1 * sin1 + 2 * e2 * sin2) / s0
    mean = d + s1 / (2 * h)
    if not all_moments:
        return (mean,)
    s2 = -8 * math.pi**2 * (e1 * cos1 + 4 * e2 * cos2) / s0
    s3 = 16 * math.pi**3 * (e1 * sin1 + 8 * e2 * sin2) / s0
    variance = (1 + (s2 - s1**2) / (2 * h)) / (2 * h)
    covariance = s1 / (2 * h**2) + (s3 - s2 * s1) / (8 * h**3)
    return mean, variance, covariance


def direct_sum(
    c: Tensor,
    r: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    levels: int | None,
    half: int,
    all_moments: bool,
) -> Moments:
    """Sum over \\|k\\| ≤ half, as far as c + k is within ±levels (None: any).

    Args:
        c: nearest indices, of r's shape.
        r: residuals ``z - cq`` to the nearest index, any float shape.
        q, alpha: steps > 0 and sharpness α > 0, broadcastable to r.
        levels: L of the index set {-L..L}; None for all integers.
        half: indices on each side of the nearest one.
        all_moments: (E k, Var k, Cov(k, (r/q - k)²)) instead of (E k,).

    >>> c, r, q = torch.tensor(3.0), torch.tensor(9.0), torch.tensor(1.0)
    >>> direct_sum(c, r, q, q, levels=3, half=2, all_moments=False)[0].item() <= 0
    True
    """
    total, *sums = (torch.zeros_like(r) for _ in range(4 if all_moments else 2))
    for k in range(-half, half + 1):
        exponent = alpha * q * k * (2 * r - k * q)
        if levels is not None:
            # Before e^x, which may overflow there: 0 times its slope is no number.
            exponent = torch.where((c + k).abs() <= levels, exponent, -torch.inf)
        weight = _weight(exponent)
        total = total + weight
        sums = [m + k**power * weight for power, m in enumerate(sums, 1)]
    if not all_moments:
        return (sums[0] / total,)
    mean, second, third = (m / total for m in sums)
    return _centred(mean, second, third, r / q)


def _centred(mean: Tensor, second: Tensor, third: Tensor, d: Tensor) -> Moments:
    variance = second - mean**2
    return mean, variance, third - mean * second - 2 * d * variance


def _weight(exponent: Tensor) -> Tensor:
    """``e^x``, and 0 below e⁻⁶⁰: float64 cannot see it beside 1, and denormals are slow."""
    return F.threshold(torch.exp(exponent.clamp(min=-60)), 1e-26, 0.0)
