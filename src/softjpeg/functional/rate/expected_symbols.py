"""How often a baseline scan is expected to send each Huffman symbol, when indices are drawn.

Given z, the coefficients of a block are independent, each with its CPMF ``P(i|z)``. Along the
zigzag, with ``p_j = P(i_j = 0)``, let ``M_j(r)`` be the probability that the zeros just before
position j number r modulo 16:

    M_1(0) = 1,   M_{j+1}(0) = (1 - p_j) + p_j M_j(15),   M_{j+1}(r + 1) = p_j M_j(r).

Then one block is expected to send exactly (T.81 F.1.2):

* run/size r/s: ``Σ_j M_j(r) P(i_j has s bits)`` times;
* ZRL: ``Σ_j M_j(15) p_j (1 - Π_{k>j} p_k)`` times, sixteen zeros with something after them;
* EOB: ``p_63`` times;
* DC of size s: ``P(the difference from the block before, in scan order, has s bits)`` times.

As hardness grows these become the counts of the rounded coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from softjpeg.functional.rate.size_distribution import (
    AC_SIZES,
    SizeDistribution,
    ac_sizes,
    dc_sizes,
    differenced,
)
from softjpeg.jpeg.entropy.layout import ScanLayout, sampling_factors, scan_layout, to_mcu_order
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import ZIGZAG

_RUNS = 16
_CHUNK_BLOCKS = {"cpu": 512}
"""As many blocks at a time as stay in the cache; elsewhere as many as keep a device busy."""
_ALMOST_SURE = 1 - 1e-6  # The logarithm of the opposite has a gradient.


_Part = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From z, q and α to what chunks of blocks add up: (2, B, 256)."""


class ExpectedSymbols(NamedTuple):
    """What the scans of B images are expected to send.

    Both have shape (B, components, 2, 256): per Huffman symbol of DC and of AC.
    """

    counts: Tensor
    """How often a symbol is sent."""
    absence: Tensor
    """ln P(it is not sent at all) ≤ 0, blocks taken as independent."""


def expected_symbols(
    coefficients: Sequence[Tensor],
    tables: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    shift: float | None = None,
) -> ExpectedSymbols:
    """Expected Huffman symbols of every image's scan.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8), float, pixel scale.
        tables: per component (8, 8) steps > 0.
        alphas: per component (8, 8) sharpness α = hardness / q².
        size: (height, width) of the images.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        shift: take the gradient in tables alone, as a difference over log q ± shift, less noisy.

    Returns:
        Counts and presence, differentiable once in coefficients, tables and alphas. The gradient
        works through the blocks again, chunk by chunk, so memory is that of one chunk.

    Raises:
        ValueError: not 1 or 3 components, or a shape that does not fit `size`.

    >>> z, q = torch.zeros(1, 1, 2, 8, 8), torch.ones(8, 8)
    >>> symbols = expected_symbols([z], [q], [1000 * q], size=(8, 16))
    >>> symbols.counts[0, 0, :, 0].tolist()  # Two DC differences of 0 and two EOBs.
    [2.0, 2.0]
    """
    layout = _layout(coefficients, tables, alphas, size, subsampling)
    chunk = _CHUNK_BLOCKS.get(coefficients[0].device.type, 1 << 15)
    dc_part, ac_part = (
        _part(sizes, sums, shift) for sizes, sums in ((dc_sizes, _dc_sums), (ac_sizes, _ac_sums))
    )
    sums = []
    for component, (z, q, alpha) in enumerate(zip(coefficients, tables, alphas, strict=True)):
        (rows, columns), (order, dummies) = layout.shapes[component], _scan_order(layout, component)
        blocks = z[:, :rows, :columns].flatten(3).flatten(1, 2)[..., ZIGZAG]
        q, alpha = q.flatten()[ZIGZAG], alpha.flatten()[ZIGZAG]
        # The difference to the block before crosses chunks: DC stays in one piece.
        dc = _in_chunks(dc_part, blocks[:, order, :1], q[:1], alpha[:1], max(chunk, len(order)))
        ac = _in_chunks(ac_part, blocks[..., 1:], q[1:], alpha[1:], chunk)
        sums.append(torch.stack([dc, ac], 2))
        if dummies:
            # A dummy block sends a difference of 0 and EOB, symbol 0 both.
            dummy = torch.zeros_like(sums[-1])
            dummy[0, ..., 0], dummy[1, ..., 0] = dummies, -torch.inf
            sums[-1] = sums[-1] + dummy
    return ExpectedSymbols(*torch.stack(sums, 2))


def _layout(
    coefficients: Sequence[Tensor],
    tables: Sequence[Tensor],
    alphas: Sequence[Tensor],
    size: tuple[int, int],
    subsampling: Subsampling,
) -> ScanLayout:
    if len(coefficients) not in (1, 3):
        raise ValueError(f"coefficients must have 1 or 3 components, got {len(coefficients)}")
    for name, values in (("tables", tables), ("alphas", alphas)):
        if len(values) != len(coefficients):
            raise ValueError(f"{name} must be one per component, got {len(values)}")
    layout = scan_layout(size, sampling_factors(subsampling, len(coefficients)))
    for index, z in enumerate(coefficients):
        real, padded = layout.shapes[index], layout.padded_shapes[index]
        if z.ndim != 5 or z.shape[3:] != (8, 8) or tuple(z.shape[1:3]) not in (real, padded):
            wanted = f"(B, {real[0]}, {real[1]}, 8, 8)"
            shape = tuple(z.shape)
            raise ValueError(f"coefficients[{index}] must have shape {wanted}, got {shape}")
    return layout


def _scan_order(layout: ScanLayout, component: int) -> tuple[npt.NDArray[np.int64], int]:
    """Indices of a component's blocks in the order they are sent, and its number of dummies."""
    numbered = [np.arange(1, r * c + 1).reshape(1, r, c, 1) for r, c in layout.shapes]
    per_mcu = [h * v for h, v in layout.factors]
    first = sum(per_mcu[:component])
    sent = to_mcu_order(numbered, layout)[0, :, first : first + per_mcu[component], 0].flatten()
    return sent[sent > 0] - 1, int((sent == 0).sum())


def _part(sizes: SizeDistribution, sums: Callable[[Tensor], Tensor], shift: float | None) -> _Part:
    distribution = sizes if shift is None else differenced(sizes, shift)
    return lambda z, q, alpha: sums(distribution(z, q, alpha))


def _in_chunks(part: _Part, z: Tensor, q: Tensor, alpha: Tensor, chunk: int) -> Tensor:
    """The sum of a part over the blocks of z (B, blocks, n), chunk by chunk."""
    sums = []
    for images in torch.split(z, max(1, chunk // z.shape[1])):  # type: ignore[no-untyped-call]
        pieces = torch.split(images, chunk, 1)  # type: ignore[no-untyped-call]
        parts = [_Recomputed.apply(part, x, q, alpha) for x in pieces]  # type: ignore[no-untyped-call]
        sums.append(torch.stack(parts).sum(0))
    return torch.cat(sums, 1)


class _Recomputed(torch.autograd.Function):
    """A part of the sums that keeps its arguments only and is computed again for the gradient."""

    # torch.utils.checkpoint does this too, but imports a compiler: seconds.
    @staticmethod
    def forward(ctx: Any, part: _Part, *arguments: Tensor) -> Tensor:
        ctx.save_for_backward(*arguments)
        ctx.part = part
        return part(*arguments)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[1:]
        leaves = [
            t.detach().requires_grad_(n) for t, n in zip(ctx.saved_tensors, needed, strict=True)
        ]
        with torch.enable_grad():
            # A scalar: with a gradient to start from, torch imports a compiler too.
            weighted = (ctx.part(*leaves) * grad).sum()
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        gradients = iter(torch.autograd.grad(weighted, wanted, allow_unused=True))
        return None, *(next(gradients) if n else None for n in needed)


def _dc_sums(sizes: Tensor) -> Tensor:
    """Sums of the sizes of DC differences; `sizes` is (B, blocks, 1, 12)."""
    return _sums(sizes[:, :, 0])


def _ac_sums(sizes: Tensor) -> Tensor:
    """Sums of run/size, ZRL and EOB; `sizes` is (B, blocks, 63, 11) in zigzag order."""
    zero = sizes[..., 0]
    runs = _ZeroRuns.apply(zero.flatten(0, 1).T.contiguous())  # type: ignore[no-untyped-call]
    runs = runs.permute(2, 1, 0).contiguous().unflatten(0, zero.shape[:2])
    # A product of what follows; where a factor is 0 its gradient is 0 too.
    logs = zero.clamp_min(torch.finfo(zero.dtype).tiny).log()
    rest = (logs.flip(-1).cumsum(-1).flip(-1) - logs).exp()
    zrl = (runs[..., -1, :] * zero * (1 - rest)).sum(-1, keepdim=True)
    size_0 = pad(zero[..., -1:], (0, _RUNS - 1)) + pad(zrl, (_RUNS - 1, 0))
    grid = torch.cat([size_0[..., None], runs @ sizes[..., 1:]], -1)
    return _sums(pad(grid, (0, 16 - AC_SIZES)).flatten(2))


def _sums(symbols: Tensor) -> Tensor:
    """(2, B, 256): sums over blocks of counts per block (B, blocks, n) and of log P(none)."""
    absence = torch.log1p(-symbols.clamp_max(_ALMOST_SURE))
    return pad(torch.stack([symbols.sum(1), absence.sum(1)]), (0, 256 - symbols.shape[-1]))


class _ZeroRuns(torch.autograd.Function):
    """From ``p_j`` (63, n) to ``M_j(r)`` (63, 16, n)."""

    @staticmethod
    def forward(ctx: Any, zero: Tensor) -> Tensor:
        runs = zero.new_zeros(len(zero), _RUNS, zero.shape[1])
        runs[0, 0] = 1
        for now, after, p in zip(runs[:-1], runs[1:], zero[:-1], strict=True):
            torch.mul(now[:-1], p, out=after[1:])
            torch.addcmul(1 - p, now[-1], p, out=after[0])
        ctx.save_for_backward(zero, runs)
        return runs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        zero, runs = ctx.saved_tensors
        grad = grad.clone()
        for j in range(len(zero) - 2, -1, -1):
            grad[j, :-1].addcmul_(grad[j + 1, 1:], zero[j])
            grad[j, -1].addcmul_(grad[j + 1, 0], zero[j])
        slope = (runs[:-1] * grad[1:].roll(-1, 1)).sum(1) - grad[1:, 0]
        return pad(slope, (0, 0, 0, 1))
