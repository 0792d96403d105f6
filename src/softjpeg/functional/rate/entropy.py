"""Rate: J4D's differentiable entropy estimate, and the exact bit count of JPEG's Huffman code.

The estimate of one frequency m is the entropy of its marginal ``P_m(i) = E_blocks P(i|z)``; an
image costs the sum over the 64 frequencies and all components, weighted by their block counts. It
knows nothing of Huffman's 1-bit floor, zero runs and end-of-block codes: `scan_bits` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats
from softjpeg.functional.rate.soft_histogram import SoftHistogram
from softjpeg.functional.soft_quantizer import check_index_set, reach
from softjpeg.jpeg.entropy.scan_bits import scan_bits, scan_bits_batch

__all__ = ["entropy_bits", "frequency_entropy", "predict_dc", "scan_bits", "scan_bits_batch"]


def frequency_entropy(
    z: Tensor,
    q: Tensor,
    alpha: Tensor,
    *,
    levels: int | None = None,
    window: int | None = None,
) -> Tensor:
    """Entropy of the index at every frequency, ``H_m = -Σ_i P_m(i) log₂ P_m(i)``.

    Args:
        z: (..., 8, 8) coefficients, pixel scale; all leading axes are blocks.
        q: (8, 8) steps > 0.
        alpha: (8, 8) sharpness α > 0 = hardness / q².
        levels, window: the index set, as in `cpmf`.

    Returns:
        (8, 8) bits per coefficient ≥ 0, differentiable once in z, q and α. Memory is that of z.

    Raises:
        ValueError: z is not finite, q is not positive, or an impossible index set.

    >>> z = torch.tensor([0.0, 10.0]).reshape(2, 1, 1).expand(2, 8, 8)
    >>> q = torch.full((8, 8), 10.0)
    >>> frequency_entropy(z, q, 50 / q**2)[0, 0].item()
    1.0
    """
    check_index_set(levels, window)
    half = window // 2 if window is not None else reach(alpha * q**2)
    entropy: Tensor = _Entropy.apply(z, q, alpha, half, levels)  # type: ignore[no-untyped-call]
    return entropy


class _Entropy(torch.autograd.Function):
    """Keeps z, q, α and the cost ``-log₂ P_m(i)`` of every index: no index of a block."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, q: Tensor, alpha: Tensor, half: int, levels: int | None
    ) -> Tensor:
        blocks, steps, sharpness = z.reshape(-1, 64), q.expand(8, 8), alpha.expand(8, 8)
        histogram = SoftHistogram.of(blocks, steps.flatten(), sharpness.flatten(), half, levels)
        marginal = histogram.marginal() / len(blocks)
        cost = -torch.log2(marginal.clamp_min(torch.finfo(z.dtype).tiny))
        ctx.save_for_backward(z, q, alpha, cost.to(z.dtype))
        ctx.index_set = half, levels
        return (marginal * cost).sum(1).reshape(8, 8).to(z.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, q, alpha, cost = ctx.saved_tensors
        blocks, steps, sharpness = z.reshape(-1, 64), q.expand(8, 8), alpha.expand(8, 8)
        histogram = SoftHistogram.of(blocks, steps.flatten(), sharpness.flatten(), *ctx.index_set)
        # ΣdP_m(i) = 0: the cost of an index may be held constant.
        scale = grad.flatten() / len(blocks)
        to_z, *to_tables = histogram.gradient(cost, scale, of_z=ctx.needs_input_grad[0])
        fitted = (
            g.reshape(8, 8).sum_to_size(t.shape).to(t.dtype)
            for g, t in zip(to_tables, (q, alpha), strict=True)
        )
        return None if to_z is None else to_z.reshape(z.shape), *fitted, None, None


def predict_dc(z: Tensor) -> Tensor:
    """Replace every DC by its difference from the block before it, as the entropy coder does.

    Args:
        z: (..., rows, columns, 8, 8); the first block of a row is predicted by the last of the row
            above, the first of all by 0, as in a scan of one component.

    >>> predict_dc(torch.ones(1, 2, 8, 8))[0, :, 0, 0].tolist()
    [1.0, 0.0]
    """
    dc = z[..., 0, 0].flatten(-2)
    difference = torch.diff(dc, dim=-1, prepend=torch.zeros_like(dc[..., :1]))
    flat = z.flatten(-2)
    replaced = torch.cat([difference.reshape(flat.shape[:-1])[..., None], flat[..., 1:]], dim=-1)
    return replaced.reshape(z.shape)


def entropy_bits(
    coefficients: Sequence[Tensor],
    tables: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    levels: int | None = None,
    window: int | None = None,
    dc_prediction: bool = True,
) -> Tensor:
    """Estimated bits of the scan of one image, mean over a batch.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8), pixel scale.
        tables, alphas: one (8, 8) per component.
        levels, window: the index set, as in `cpmf`.
        dc_prediction: code DC as the difference from the block before (JPEG); False for the
            paper's plain marginal.

    Returns:
        Scalar ≥ 0, differentiable in tables and alphas. Divide by the pixels for bits per pixel.

    >>> z, q = torch.zeros(1, 2, 2, 8, 8), torch.ones(8, 8)
    >>> entropy_bits([z], [q], [1000 * q]).item()
    0.0
    """
    check_floats(**{f"coefficients[{i}]": z for i, z in enumerate(coefficients)})
    total = torch.zeros((), dtype=coefficients[0].dtype, device=coefficients[0].device)
    for z, q, alpha in zip(coefficients, tables, alphas, strict=True):
        predicted = predict_dc(z) if dc_prediction else z
        bits = frequency_entropy(predicted, q, alpha, levels=levels, window=window)
        total = total + bits.sum() * z.shape[-4] * z.shape[-3]
    return total
