"""`softjpeg.functional.soft_quantizer` in Triton: Q_d of a tile and its derivatives.

A tile is (N, 16) float32, a row of (1, 16) steps q and sharpnesses α beside it.

About the nearest index c, with ``r = z - cq``, the weights ``w_k = exp(αqk(2r - kq))`` follow from
two exponentials: ``w₁`` upward, ``w₋₁`` downward, and ``w_{k+1} = w_k·w₁·e^{-2hk}``.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl


class Mode(NamedTuple):
    """What kernels are compiled for."""

    rounds: int
    levels: int | None
    """The largest index of the sum; None for any."""
    window: int | None
    """How many indices the sum runs over; None for all integers."""
    zero_dc: bool
    rounding: bool
    even: bool
    """Whole blocks only: nothing to replicate."""
    nvidia: bool
    """With NVIDIA's own instructions, from compute capability 8 on."""


@triton.jit
def quantize(z, q, alpha, M: tl.constexpr):
    """``Q_d(z) = q·(c + E[k])``."""
    c, r, d = nearest(z, q, M)
    mean, _slope, _twist = _moments(c, r, d, q, alpha, M)
    return q * (c + mean)


@triton.jit
def derivatives(z, q, alpha, M: tl.constexpr):
    """``∂Q_d/∂z``, ``∂Q_d/∂q`` at fixed α and ``∂Q_d/∂α`` at fixed q."""
    c, r, d = nearest(z, q, M)
    mean, slope, twist = _moments(c, r, d, q, alpha, M)
    # c apart from d: where the slope is nearly 1, c·(1 - slope) loses nothing.
    by_step = c * (1 - slope) + (mean - d * slope) - twist
    return slope, by_step, twist * (-0.5 * q / alpha)


@triton.jit
def nearest(z, q, M: tl.constexpr):
    """The nearest index c, the residual ``r = z - cq``, exact, and ``d = r/q``."""
    inverse = 1 / q
    u = z * inverse
    # Adding 1.5·2²³ rounds half to even; past 2²² float32 has hardly a fraction to round.
    c = tl.where(tl.abs(u) < 4194304.0, (u + 12582912.0) - 12582912.0, u)
    if M.levels is not None:
        c = tl.minimum(tl.maximum(c, -1.0 * M.levels), 1.0 * M.levels)
    # q in two halves of 12 bits, so that both products with c are exact with and without fma.
    high = (q.to(tl.int32, bitcast=True) & -4096).to(tl.float32, bitcast=True)
    r = tl.fma(-c, q - high, tl.fma(-c, high, z))
    return c, r, r * inverse


@triton.jit
def _moments(c, r, d, q, alpha, M: tl.constexpr):
    """``E[k]``, ``2h·Var(k)`` and ``2h·Cov(k, (d - k)²)``."""
    if M.window is None:
        mean, slope, twist = _window(c, r, d, q, alpha, 2, M)
        hardness = alpha * q * q
        # Five points are exact to float32 from 2.5 on, the theta function below.
        if tl.min(hardness) < 2.5:
            hard = hardness >= 2.5
            soft_mean, soft_slope, soft_twist = _theta(d, hardness)
            mean = tl.where(hard, mean, soft_mean)
            slope = tl.where(hard, slope, soft_slope)
            twist = tl.where(hard, twist, soft_twist)
    else:
        mean, slope, twist = _window(c, r, d, q, alpha, M.window // 2, M)
    return mean, slope, twist


@triton.jit
def _window(c, r, d, q, alpha, HALF: tl.constexpr, M: tl.constexpr):
    """Sum over |k| ≤ HALF, as far as c + k is within ±levels."""
    rate = alpha * q * 2.8853900817779268  # 2 / ln 2
    # |r| - q/2 first: near a tie it is exact, and so is a weight near 1.
    rise = exp2(rate * (r - 0.5 * q), M)
    fall = exp2(rate * (-r - 0.5 * q), M)
    fade = exp2(-rate * q, M)
    above, below = rise, fall
    first = tl.zeros_like(r)
    total, second, third = first + 1.0, first, first
    for k in tl.static_range(1, HALF + 1):
        up, down = above, below
        if M.levels is not None:
            up = tl.where(c + k <= M.levels, up, 0.0)
            down = tl.where(c - k >= -M.levels, down, 0.0)
        even, odd = up + down, up - down
        total += even
        first += k * odd
        second += k * k * even
        third += k * k * k * odd
        rise, fall = rise * fade, fall * fade
        above, below = above * rise, below * fall
    scale = reciprocal(total, M)
    mean = first * scale
    variance = second * scale - mean * mean
    covariance = third * scale - mean * (second * scale) - 2 * d * variance
    twice = 2 * alpha * q * q
    return mean, variance * twice, covariance * twice


@triton.jit
def _theta(d, hardness):
    """Sum over all k by Poisson summation; two terms are exact to float32 for h ≤ 2.5."""
    inverse = 1 / hardness
    cos1, sin1 = _turn(d)
    cos2, sin2 = 2 * cos1 * cos1 - 1, 2 * sin1 * cos1
    e1 = tl.exp2(-14.238829324987504 * inverse)  # π² / ln 2
    e2 = e1 * e1 * e1 * e1
    scale = 1 / (1 + 2 * (e1 * cos1 + e2 * cos2))
    s1 = -12.566370614359172 * scale * (e1 * sin1 + 2 * e2 * sin2)
    s2 = -78.95683520871486 * scale * (e1 * cos1 + 4 * e2 * cos2)
    s3 = 496.10042688479706 * scale * (e1 * sin1 + 8 * e2 * sin2)
    mean = d + 0.5 * inverse * s1
    slope = 1 + 0.5 * inverse * (s2 - s1 * s1)
    twist = inverse * (s1 + 0.25 * inverse * (s3 - s2 * s1))
    return mean, slope, twist


@triton.jit
def _turn(d):
    """``cos 2πd`` and ``sin 2πd`` for |d| ≤ ½, without the branches of a general sine."""
    x = 3.141592653589793 * d
    v = x * x
    # Taylor series of half the angle: what they leave out is below 6e-8.
    odd = x * (
        1 + v * (-1 / 6 + v * (1 / 120 + v * (-1 / 5040 + v * (1 / 362880 + v * (-1 / 39916800)))))
    )
    even = v * (1 / 40320 + v * (-1 / 3628800 + v * (1 / 479001600)))
    even = 1 + v * (-1 / 2 + v * (1 / 24 + v * (-1 / 720 + even)))
    return 1 - 2 * odd * odd, 2 * odd * even


@triton.jit
def exp2(x, M: tl.constexpr):
    """``2^x``; below float32's normal range 0, which saves three instructions."""
    if M.nvidia:
        return tl.inline_asm_elementwise(
            "ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        return tl.exp2(x)


@triton.jit
def reciprocal(x, M: tl.constexpr):
    """``1/x`` of a normal number, without a division's care for others."""
    if M.nvidia:
        return tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        return 1 / x
