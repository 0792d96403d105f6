"""The soft quantizer ``Q_d`` of JPEG-DL (eq. 5) and the CPMF behind it (eqs. 3-4).

With hardness ``h = αq²``, an index i of the lattice has probability ``P(i|z) ∝ exp(-α(z - iq)²)``
and ``Q_d(z) = Σ_i P(i|z)·iq = q·(c + E[k])`` about the nearest index c, ``k = i - c``. Two
transcendental calls per coefficient give E[k] (`softjpeg.functional.lattice_moments`).

Gradients are closed form in the moments of k given z, so nothing but z, q and α is kept for the
backward pass: ``∂Q_d/∂z = 2h·Var(k)``, ``∂Q_d/∂h|_q = -q·Cov(k, (r/q - k)²)``, r = z - cq.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from softjpeg.common.bounds import MAX_LEVELS, MAX_WINDOW
from softjpeg.functional.arguments import check_floats
from softjpeg.functional.lattice_moments import Moments, direct_sum, five_points, theta
from softjpeg.kernels.arguments import are_plain

_FIVE_POINTS_FROM = 2.5
"""Hardness from which the five-point sum is exact; the theta function is exact below it."""


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
    check_floats(z=z)
    check_index_set(levels, window)
    if not torch.is_grad_enabled():
        return _forward(z, q, alpha, levels, window)
    function = _SoftQuantize if torch.compiler.is_compiling() else _WithTangents
    return function.apply(z, q, alpha, levels, window)  # type: ignore[no-any-return, no-untyped-call]


def nearest_index(z: Tensor, q: Tensor, levels: int | None) -> tuple[Tensor, Tensor]:
    """The index c of the lattice point nearest to z, and the residual ``r = z - cq``, exact.

    Args:
        z: coefficients, any float shape.
        q: steps > 0, broadcastable to z.
        levels: L of the index set {-L..L}; None for all integers.

    >>> nearest_index(torch.tensor(17.0), torch.tensor(10.0), None)
    (tensor(2.), tensor(-3.))
    """
    c = torch.round(z / q)
    if levels is not None:
        c = c.clamp(-levels, levels)
    # q in two halves, so that both products with the integer c are exact (Veltkamp, Dekker).
    splitter = 2.0 ** (27 if z.dtype == torch.float64 else 12) + 1
    high = splitter * q - (splitter * q - q)
    r = torch.addcmul(z, c, high, value=-1)
    return c, torch.addcmul(r, c, q - high, value=-1)


def check_index_set(levels: int | None, window: int | None) -> None:
    """Raise ValueError unless `levels` and `window` describe an index set that can be summed."""
    if levels is not None and not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels must be from 1 to {MAX_LEVELS} or None, got {levels}")
    if window is not None and not (3 <= window <= MAX_WINDOW and window % 2):
        raise ValueError(
            f"window must be an odd number from 3 to {MAX_WINDOW} or None, got {window}"
        )


def _forward(z: Tensor, q: Tensor, alpha: Tensor, levels: int | None, window: int | None) -> Tensor:
    wide, q, alpha = _computable(z, q, alpha)
    c, (mean,) = _moments(wide, q, alpha, levels, window, all_moments=False)
    return (q * (c + mean)).to(z.dtype)


class _SoftQuantize(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        z: Tensor, q: Tensor, alpha: Tensor, levels: int | None, window: int | None
    ) -> Tensor:
        return _forward(z, q, alpha, levels, window)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *tensors, ctx.levels, ctx.window = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, q, alpha = ctx.saved_tensors
        slopes = _slopes(z, q, alpha, ctx.levels, ctx.window, ctx.needs_input_grad)
        fitted = [
            None if slope is None else (grad * slope).sum_to_size(t.shape).to(t.dtype)
            for slope, t in zip(slopes, ctx.saved_tensors, strict=True)
        ]
        return (*fitted, None, None)


class _WithTangents(_SoftQuantize):
    """In a class of its own, for PyTorch's compiler takes no function that has a `jvp`."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _SoftQuantize.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[:3])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        z, q, alpha = ctx.saved_tensors
        wanted = [tangent is not None for tangent in tangents[:3]]
        slopes = _slopes(z, q, alpha, ctx.levels, ctx.window, wanted)
        moved = [t * s for t, s in zip(tangents, slopes, strict=False) if t is not None]
        along: Tensor = sum(moved[1:], moved[0])
        return along.to(z.dtype)


def _slopes(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    levels: int | None,
    window: int | None,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """∂Q_d/∂z, ∂Q_d/∂q and ∂Q_d/∂α, each of z's shape; None where it is not wanted."""
    z, q, alpha = _computable(z, q, alpha)
    c, (mean, variance, covariance) = _moments(z, q, alpha, levels, window, all_moments=True)
    slope = variance * (2 * alpha * q**2)
    at_fixed_h = c + mean - z / q * slope
    return (
        slope if wanted[0] else None,
        at_fixed_h - covariance * (2 * alpha * q**2) if wanted[1] else None,
        covariance * -(q**3) if wanted[2] else None,
    )


def _computable(*tensors: Tensor) -> list[Tensor]:
    """Half precision cannot hold an exact residual: compute in float32 at least."""
    dtype = torch.promote_types(tensors[0].dtype, torch.float32)
    return [t.to(dtype) for t in tensors]


def _moments(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    levels: int | None,
    window: int | None,
    *,
    all_moments: bool,
) -> tuple[Tensor, Moments]:
    """The centre c and the moments of k about it, each of z's shape."""
    c, r = nearest_index(z, q, levels)
    if window is None and levels is None:
        return c, _full_lattice(c, r, q, alpha, all_moments)
    half = reach(alpha * q**2) if window is None else window // 2
    if levels is not None:
        half = min(half, 2 * levels)
    # A captured graph cannot branch on values, and a compiler fuses the terms of a direct sum.
    if window is not None and (half != 2 or _is_captured(z, q, alpha)):
        return c, direct_sum(c, r, q, alpha, levels=levels, half=half, all_moments=all_moments)
    inner, edge = r, None
    if levels is not None and _largest(c) > levels - half:
        edge = c.abs() > levels - half
        # Beyond the ends residuals are large: what overflows there has no gradient, 0 or not.
        inner = r.masked_fill(edge, 0)
    if window is None:
        moments = _full_lattice(c, inner, q, alpha, all_moments)
    else:
        moments = five_points(inner, q, alpha, all_moments=all_moments)
    if edge is not None:
        at = edge.nonzero(as_tuple=True)
        parts = (c[at], r[at], q.expand_as(z)[at], alpha.expand_as(z)[at])
        cut = direct_sum(*parts, levels=levels, half=half, all_moments=all_moments)
        # Not in place: a second derivative needs what they were made of.
        moments = tuple(m.index_put(at, part) for m, part in zip(moments, cut, strict=True))
    return c, moments


def _is_captured(*tensors: Tensor) -> bool:
    """Whether values cannot be looked at: in a graph, behind `torch.func`, or on no device."""
    return torch.compiler.is_compiling() or tensors[0].is_meta or not are_plain(*tensors)


def reach(hardness: Tensor, spare: int = 2) -> int:
    """The largest \\|k\\| with a weight that float32 can see, for the softest entry of a table.

    Against the nearest two indices, one at distance k has the weight ``exp(-k(k - 1)h)`` at most.

    Args:
        hardness: h = αq² > 0, any shape.
        spare: added to it: weights that are too small one by one add up where h is small.

    >>> reach(torch.tensor([20.0, 3.0])), reach(torch.tensor(3.0), spare=0)
    (4, 2)
    """
    softest = max(float(hardness.detach().amin()), 1e-6)
    return math.ceil((math.sqrt(1 + 68 / softest) - 1) / 2) + spare


def _full_lattice(c: Tensor, r: Tensor, q: Tensor, alpha: Tensor, all_moments: bool) -> Moments:
    hard = alpha * q**2 >= _FIVE_POINTS_FROM
    captured = _is_captured(r, q, alpha)
    far: Moments = ()
    near: Moments = ()
    if captured or not hard.all():
        far = theta(r, q, alpha, all_moments=all_moments)
    if captured or hard.any():
        if r.dtype == torch.float64:
            near = direct_sum(c, r, q, alpha, levels=None, half=3, all_moments=all_moments)
        else:
            near = five_points(r, q, alpha, all_moments=all_moments)
    if not (near and far):
        return near or far
    return tuple(torch.where(hard, n, f) for n, f in zip(near, far, strict=True))


def _largest(c: Tensor) -> float:
    return max(map(abs, torch.aminmax(c))).item() if c.numel() else 0.0
