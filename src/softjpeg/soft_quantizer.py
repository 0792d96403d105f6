"""The soft quantizer ``Q_d`` of JPEG-DL (eq. 5) and the CPMF behind it (eqs. 3-4).

With ``u = z/q`` and hardness ``h = αq²``, an index i of the lattice has probability
``P(i|z) ∝ exp(-α(z - iq)²)`` and ``Q_d(z) = Σ_i P(i|z)·iq``. About the nearest index c, with
``r = z - cq`` and ``k = i - c``, the weights are ``w_k = exp(αqk(2r - kq))``:

* h ≥ 2.5: only the nearest few k matter, and all their weights come from two exponentials.
* h < 2.5: Poisson summation turns the sum into a theta function of which two terms matter:
  ``Q_d = q·(u + (1/2h)·d/du log S)``, ``S(u) = 1 + 2 Σ_n exp(-π²n²/h) cos 2πnu``.

Either way two transcendental calls per coefficient. Gradients are closed form in the moments of k
given z, so nothing but z, q and α is kept for the backward pass:
``∂Q_d/∂z = 2h·Var(k)``, ``∂Q_d/∂h|_q = -q·Cov(k, (r/q - k)²)``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

_FEW_POINTS_FROM = 2.5
"""Hardness from which the few-point sum is exact; the theta function is exact below it."""

Moments = tuple[Tensor, Tensor, Tensor]
"""E[k], Var(k) and Cov(k, (r/q - k)²) of the lattice offset k = i - c given z."""


def soft_quantize(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    levels: int | None = None,
    window: int | None = None,
) -> Tensor:
    """``Q_d(z) = Σ_i P(i|z)·iq`` (JPEG-DL, eq. 5), differentiable in z, q and α.

    Args:
        z: coefficients, any float shape, pixel scale 0..255.
        q: steps > 0, broadcastable to z (typically (8, 8)).
        alpha: sharpness α > 0 = hardness / q², broadcastable to z.
        levels: L of the index set {-L..L}; None for all integers.
        window: odd number of indices around the nearest one that the sum runs over
            (the paper's code: 5); None for all of the index set.

    Returns:
        Tensor like z. As α → ∞ it becomes the uniform quantizer ``q·round(z/q)``.

    Raises:
        ValueError: `levels` < 1, or `window` not odd and ≥ 3.

    >>> z, q = torch.tensor([3.0, 11.0]), torch.tensor(10.0)
    >>> soft_quantize(z, q, torch.tensor(100.0) / q**2).round(decimals=3).tolist()
    [0.0, 10.0]
    >>> soft_quantize(z, q, torch.tensor(0.01) / q**2).round(decimals=3).tolist()
    [3.0, 11.0]
    """
    check_index_set(levels, window)
    return _SoftQuantize.apply(z, q, alpha, levels, window)  # type: ignore[no-any-return, no-untyped-call]


def nearest_index(z: Tensor, q: Tensor, levels: int | None) -> tuple[Tensor, Tensor]:
    """The index c of the lattice point nearest to z, and the residual ``r = z - cq``, exact.

    >>> nearest_index(torch.tensor(17.0), torch.tensor(10.0), None)
    (tensor(2.), tensor(-3.))
    """
    c = torch.round(z / q)
    if levels is not None:
        c = c.clamp(-levels, levels)
    # q in two halves, so that both products with the integer c are exact (Veltkamp, Dekker).
    splitter = 2.0 ** (27 if z.dtype == torch.float64 else 12) + 1
    high = splitter * q - (splitter * q - q)
    return c, (z - c * high) - c * (q - high)


def check_index_set(levels: int | None, window: int | None) -> None:
    """Raise ValueError unless `levels` and `window` describe an index set."""
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1 or None, got {levels}")
    if window is not None and (window < 3 or window % 2 == 0):
        raise ValueError(f"window must be an odd number from 3 on or None, got {window}")


class _SoftQuantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, z: Tensor, q: Tensor, alpha: Tensor, levels: int | None, window: int | None
    ) -> Tensor:
        ctx.save_for_backward(z, q, alpha)
        ctx.index_set = levels, window
        dtype = z.dtype
        z, q, alpha = _computable(z, q, alpha)
        c, moments = _moments(z, q, alpha, levels, window)
        return (q * (c + moments[0])).to(dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, q, alpha = _computable(*ctx.saved_tensors)
        levels, window = ctx.index_set
        c, (mean, variance, covariance) = _moments(z, q, alpha, levels, window)
        slope = 2 * alpha * q**2 * variance
        grads: list[Tensor | None] = [grad * slope, None, None]
        if ctx.needs_input_grad[1]:
            at_fixed_h = c + mean - z / q * slope
            grads[1] = grad * (at_fixed_h - 2 * alpha * q**2 * covariance)
        if ctx.needs_input_grad[2]:
            grads[2] = grad * (-covariance * q**3)
        fitted = [
            None if g is None else g.sum_to_size(t.shape).to(t.dtype)
            for g, t in zip(grads, ctx.saved_tensors, strict=True)
        ]
        return (*fitted, None, None)


def _computable(*tensors: Tensor) -> list[Tensor]:
    """Half precision cannot hold an exact residual: compute in float32 at least."""
    dtype = torch.promote_types(tensors[0].dtype, torch.float32)
    return [t.to(dtype) for t in tensors]


def _moments(
    z: Tensor, q: Tensor, alpha: Tensor, levels: int | None, window: int | None
) -> tuple[Tensor, Moments]:
    """The centre c and the moments of k about it, each of z's shape."""
    c, r = nearest_index(z, q, levels)
    q, alpha = q.expand_as(z), alpha.expand_as(z)
    half = reach(alpha * q**2) if window is None else window // 2
    if levels is not None:
        half = min(half, 2 * levels)
    if window is not None and half > 2:
        return c, _direct_sum(c, r, q, alpha, levels, half)
    moments = _few_points(r, q, alpha, half) if window else _full_lattice(r, q, alpha)
    if levels is not None:
        edge = c.abs() > levels - half
        if edge.any():
            cut = _direct_sum(c[edge], r[edge], q[edge], alpha[edge], levels, half)
            for whole, part in zip(moments, cut, strict=True):
                whole[edge] = part
    return c, moments


def reach(hardness: Tensor) -> int:
    """The largest \\|k\\| with a weight that float32 can see, for the softest entry of a table.

    >>> reach(torch.tensor([20.0, 3.0]))
    4
    """
    softest = max(float(hardness.detach().amin()), 1e-6)
    return math.ceil(0.5 + math.sqrt(17 / softest)) + 1


def _full_lattice(r: Tensor, q: Tensor, alpha: Tensor) -> Moments:
    points = 3 if r.dtype == torch.float64 else 2
    hard = alpha * q**2 >= _FEW_POINTS_FROM
    if hard.all():
        return _few_points(r, q, alpha, points)
    soft = ~hard
    if soft.all():
        return _theta(r, q, alpha)
    near = _few_points(r[hard], q[hard], alpha[hard], points)
    far = _theta(r[soft], q[soft], alpha[soft])
    mean, variance, covariance = (torch.empty_like(r) for _ in range(3))
    for whole, few, theta in zip((mean, variance, covariance), near, far, strict=True):
        whole[hard], whole[soft] = few, theta
    return mean, variance, covariance


def _few_points(r: Tensor, q: Tensor, alpha: Tensor, points: int) -> Moments:
    """Sum over \\|k\\| ≤ points: ``w_k = aᵏ·e^{-hk(k-1)}`` towards z, and with b away from it."""
    sign, distance = torch.sign(r), r.abs()
    h = alpha * q**2
    a = torch.exp(alpha * q * (2 * distance - q))
    a_minus_b = -a * torch.expm1(-4 * alpha * q * distance)
    b = a - a_minus_b
    decay = torch.exp(-2 * h)
    total = torch.ones_like(r)
    m1, m2, m3 = (torch.zeros_like(r) for _ in range(3))
    up, down, difference, ratio = a, b, a_minus_b, decay
    for k in range(1, points + 1):
        total = total + (up + down)
        m1 = m1 + k * difference
        m2 = m2 + k**2 * (up + down)
        m3 = m3 + k**3 * difference
        # aᵏ⁺¹ - bᵏ⁺¹ = a(aᵏ - bᵏ) + bᵏ(a - b) keeps its relative accuracy near r = 0.
        difference = ratio * (a * difference + down * a_minus_b)
        up, down, ratio = up * a * ratio, down * b * ratio, ratio * decay
    mean, second, third = m1 / total, m2 / total, m3 / total
    variance = second - mean**2
    covariance = third - mean * second - 2 * (distance / q) * variance
    return sign * mean, variance, sign * covariance


def _theta(r: Tensor, q: Tensor, alpha: Tensor) -> Moments:
    """The same moments from log S; ∂S/∂h follows from the heat equation ``S_h = -S''/4h²``."""
    h = alpha * q**2
    d = r / q
    angle = 2 * math.pi * d
    cos1, sin1 = torch.cos(angle), torch.sin(angle)
    cos2, sin2 = 2 * cos1**2 - 1, 2 * sin1 * cos1
    e1 = torch.exp(-(math.pi**2) / h)
    e2 = e1**4
    s0 = 1 + 2 * (e1 * cos1 + e2 * cos2)
    s1 = -4 * math.pi * (e1 * sin1 + 2 * e2 * sin2) / s0
    s2 = -8 * math.pi**2 * (e1 * cos1 + 4 * e2 * cos2) / s0
    s3 = 16 * math.pi**3 * (e1 * sin1 + 8 * e2 * sin2) / s0
    mean = d + s1 / (2 * h)
    variance = (1 + (s2 - s1**2) / (2 * h)) / (2 * h)
    covariance = s1 / (2 * h**2) + (s3 - s2 * s1) / (8 * h**3)
    return mean, variance, covariance


def _direct_sum(
    c: Tensor, r: Tensor, q: Tensor, alpha: Tensor, levels: int | None, half: int
) -> Moments:
    """Eqs. 3-5 term by term over \\|k\\| ≤ half within the index set, without a window axis."""
    total, m1, m2, m3 = (torch.zeros_like(r) for _ in range(4))
    for k in range(-half, half + 1):
        weight = torch.exp(alpha * q * k * (2 * r - k * q))
        if levels is not None:
            weight = torch.where((c + k).abs() <= levels, weight, torch.zeros_like(weight))
        total += weight
        m1 += k * weight
        m2 += k**2 * weight
        m3 += k**3 * weight
    mean, second, third = m1 / total, m2 / total, m3 / total
    variance = second - mean**2
    return mean, variance, third - mean * second - 2 * (r / q) * variance
