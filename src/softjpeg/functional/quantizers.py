"""Every quantizer of the JPEG layer behind one interface: ``quantize(z, q, alpha, kind=...)``.

``soft`` is the papers' ``Q_d`` (its own file, `soft_quantizer`); the others are what the papers
compare it with.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats
from softjpeg.functional.soft_quantizer import soft_quantize
from softjpeg.functional.straight_through import straight_through


def hard_quantize(z: Tensor, q: Tensor, *, levels: int | None = None) -> Tensor:
    """Uniform quantizer ``q·round(z/q)``, straight-through gradient.

    ∂/∂z = 1 and ∂/∂q = round(z/q) - z/q inside the index set; 0 and ±levels outside it.

    Args:
        z: coefficients, any float shape, pixel scale.
        q: steps > 0, broadcastable to z.
        levels: L of the index set {-L..L}; None for all integers.

    >>> hard_quantize(torch.tensor([3.0, 17.0, 99.0]), torch.tensor(10.0), levels=5).tolist()
    [0.0, 20.0, 50.0]
    """
    check_floats(z=z)
    u = z / q
    if levels is not None:
        u = u.clamp(-levels, levels)
    return q * straight_through(torch.round(u), u)


def noise_quantize(z: Tensor, q: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Additive uniform noise ``z + q·U(-½, ½)`` (Ballé et al. 2016, eq. 13 of its sec. 3).

    ∂/∂z = 1, ∂/∂q = the noise drawn.

    Args:
        z: coefficients, any float shape, pixel scale.
        q: steps > 0, broadcastable to z.
        generator: of the noise, on z's device.

    >>> y = noise_quantize(torch.zeros(100), torch.tensor(10.0))
    >>> bool((y.abs() <= 5).all())
    True
    """
    check_floats(z=z)
    noise = torch.rand(z.shape, dtype=z.dtype, device=z.device, generator=generator) - 0.5
    return z + q * noise


def cubic_quantize(z: Tensor, q: Tensor) -> Tensor:
    """Cubic rounding ``q·(⌊u⌉ + (u - ⌊u⌉)³)``, u = z/q (Shin & Song 2017).

    Its gradient is its true one: ∂/∂z = 3(u - ⌊u⌉)².

    >>> print(f"{cubic_quantize(torch.tensor(12.0), torch.tensor(10.0)):.2f}")
    10.08
    """
    check_floats(z=z)
    u = z / q
    nearest = torch.round(u).detach()
    return q * (nearest + (u - nearest) ** 3)


def lsq_quantize(z: Tensor, q: Tensor, *, levels: int | None = None) -> Tensor:
    """Learned step size (LSQ, Esser et al. 2019, eqs. 1-3): hard, with a scaled step gradient.

    The gradient to q is that of `hard_quantize` times ``1/√(N·L)`` (its sec. 2.2), N the number of
    coefficients of one image that share a step, L = `levels` (127 where None).

    Args:
        z: coefficients (..., rows, columns, 8, 8), or of any shape, pixel scale.
        q: steps > 0, broadcastable to z.
        levels: L of the index set {-L..L}; None for all integers.

    >>> q = torch.tensor(10.0, requires_grad=True)
    >>> lsq_quantize(torch.full((1, 1, 1, 1), 14.0), q, levels=4).sum().backward()
    >>> round(q.grad.item(), 3)
    -0.2
    """
    check_floats(z=z)
    count = z.shape[-4:-2].numel() if z.ndim >= 4 else max(1, z.numel() // q.numel())
    scale = (count * (levels or 127)) ** -0.5
    return hard_quantize(z, straight_through(q, q * scale), levels=levels)


def clip_quantize(z: Tensor, q: Tensor, *, levels: int) -> Tensor:
    """No quantization, only the index set's bound: z clamped to ±levels·q, with its true gradient.

    A control: what of a quantizer's effect is the bound's.

    Args:
        z: coefficients, any float shape, pixel scale.
        q: steps > 0, broadcastable to z.
        levels: L, so that z is bounded by ±L·q.

    >>> clip_quantize(torch.tensor([3.0, 99.0]), torch.tensor(10.0), levels=5).tolist()
    [3.0, 50.0]
    """
    check_floats(z=z)
    bound = (levels * q).expand_as(z)
    return torch.minimum(torch.maximum(z, -bound), bound)


Quantizer = Literal["soft", "hard", "noise", "cubic", "lsq", "clip", "none"]
QUANTIZERS: tuple[Quantizer, ...] = get_args(Quantizer)
DIFFERENTIABLE: tuple[Quantizer, ...] = ("soft", "cubic")
"""Those whose gradient in z is that of their values, and not straight-through."""


def quantize(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    kind: Quantizer = "soft",
    levels: int | None = None,
    window: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Quantize and dequantize z by the quantizer named `kind`; what a kind cannot use it ignores.

    Args:
        z: coefficients (..., 8, 8), pixel scale.
        q: steps > 0, broadcastable to z.
        alpha: sharpness α, used by "soft".
        kind: one of `QUANTIZERS`; "clip" bounds only, "none" leaves z as it is.
        levels: finite index set, used by "soft", "hard", "lsq", and needed by "clip".
        window: indices of the sum, used by "soft".
        generator: used by "noise".

    Raises:
        ValueError: unknown `kind`, or "clip" without `levels`.

    >>> quantize(torch.tensor(12.0), torch.tensor(10.0), torch.tensor(1.0), kind="hard").item()
    10.0
    """
    check_floats(z=z)
    if kind == "soft":
        return soft_quantize(z, q, alpha, levels=levels, window=window)
    if kind == "hard":
        return hard_quantize(z, q, levels=levels)
    if kind == "lsq":
        return lsq_quantize(z, q, levels=levels)
    if kind == "noise":
        return noise_quantize(z, q, generator=generator)
    if kind == "cubic":
        return cubic_quantize(z, q)
    if kind == "clip":
        if levels is None:
            raise ValueError("levels must be given for the quantizer 'clip', got None")
        return clip_quantize(z, q, levels=levels)
    if kind == "none":
        return z
    raise ValueError(f"kind must be one of {', '.join(QUANTIZERS)}, got {kind!r}")
