"""8×8 blocks in Triton: their DCT, quantizers and inverse, and the derivatives of all that.

N blocks are held as four tiles (N, 16): the top left 4×4 corners, and the other three mirrored onto
them. Sums and differences of the four part the frequencies by the parities of row and column, and
each of these classes is a product with a (16, 16) basis: 16 multiplications per coefficient, where
the (64, 64) basis takes 64, and 4 KB of basis where that takes 16.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import functools
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from softjpeg.kernels.triton.quantizer import derivatives, quantize


@functools.cache
def parity_basis(device: torch.device) -> Tensor:
    """The basis by classes: [part, vertical parity, horizontal parity, frequency, sample].

    Returns:
        (2, 2, 2, 16, 16) float32, two parts that TF32 holds and whose sum is the basis: frequencies
        2a + parity by a, b < 4; samples by i, j < 4.

    >>> parity_basis(torch.device("cpu")).sum(0)[0, 0, 0, 0].item()
    0.125
    """
    with torch.inference_mode(False):
        n = torch.arange(8, dtype=torch.float64)
        c = torch.cos((2 * n[None, :4] + 1) * n[:, None] * math.pi / 16) / 2
        c[0] /= math.sqrt(2)
        halves = c.reshape(4, 2, 4).transpose(0, 1)
        basis = torch.einsum("vai,hbj->vhabij", halves, halves).reshape(2, 2, 16, 16)
        high = _tf32(basis)
        return torch.stack([high, _tf32(basis - high)]).to(device)


def _tf32(x: Tensor) -> Tensor:
    """Rounded to TF32's 11 significant bits, as float32."""
    return ((x.float().view(torch.int32) + 4096) & -8192).view(torch.float32)


@triton.jit
def corner(DOWN: tl.constexpr, RIGHT: tl.constexpr):
    """Rows and columns in the block of a corner's samples, (1, 16) each."""
    p = tl.arange(0, 16)[None, :]
    i, j = p // 4, p % 4
    if DOWN:
        i = 7 - i
    if RIGHT:
        j = 7 - j
    return i, j


@triton.jit
def butterfly(corners):
    """Corners (by down, right) to parity classes (by row, column), and back."""
    a, b, c, d = corners
    s, t, u, v = a + b, a - b, c + d, c - d
    return s + u, t + v, s - u, t - v


@triton.jit
def code(corners, basis, steps, alphas, kind, M: tl.constexpr):
    """Samples to what quantizers leave of them; tables are (kinds, rounds, 64)."""
    a, b, c, d = butterfly(corners)
    a = code_class(a, 0, 0, basis, steps, alphas, kind, M)
    b = code_class(b, 0, 1, basis, steps, alphas, kind, M)
    c = code_class(c, 1, 0, basis, steps, alphas, kind, M)
    d = code_class(d, 1, 1, basis, steps, alphas, kind, M)
    return butterfly((a, b, c, d))


@triton.jit
def differentiate(corners, grads, basis, steps, alphas, kind, sums, M: tl.constexpr):
    """Adjoint of `code`: gradients of the samples from those of its result.

    Gradients of steps and sharpnesses, summed over the blocks, go to `sums`: (rounds, 2, 64).
    """
    a, b, c, d = butterfly(corners)
    e, f, g, h = butterfly(grads)
    e = differentiate_class(a, e, 0, 0, basis, steps, alphas, kind, sums, M)
    f = differentiate_class(b, f, 0, 1, basis, steps, alphas, kind, sums, M)
    g = differentiate_class(c, g, 1, 0, basis, steps, alphas, kind, sums, M)
    h = differentiate_class(d, h, 1, 1, basis, steps, alphas, kind, sums, M)
    return butterfly((e, f, g, h))


@triton.jit
def code_class(x, V: tl.constexpr, H: tl.constexpr, basis, steps, alphas, kind, M: tl.constexpr):
    """`code` of one parity class, between the butterflies."""
    matrix = _matrix(basis, V, H)
    z = _dct(x, matrix, V, H, M)
    for t in range(M.rounds):
        q, alpha = _tables(steps, alphas, kind * M.rounds + t, V, H)
        z = quantize(z, q, alpha, M)
    return _product(z, matrix, M)


@triton.jit
def differentiate_class(
    x, g, V: tl.constexpr, H: tl.constexpr, basis, steps, alphas, kind, sums,
    M: tl.constexpr,
):  # fmt: skip
    """`differentiate` of one parity class, between the butterflies."""
    matrix = _matrix(basis, V, H)
    z, g = _dct(x, matrix, V, H, M), _dct(g, matrix, V, H, M)
    for back in range(M.rounds):
        t = M.rounds - 1 - back
        # What the rounds before left, computed anew: for two rounds no more work than kept.
        round_input = z
        for before in range(t):
            q, alpha = _tables(steps, alphas, kind * M.rounds + before, V, H)
            round_input = quantize(round_input, q, alpha, M)
        q, alpha = _tables(steps, alphas, kind * M.rounds + t, V, H)
        slope, by_step, by_alpha = derivatives(round_input, q, alpha, M)
        at = sums + t * 128 + _frequencies(V, H)
        tl.store(at, tl.sum(g * by_step, 0))
        tl.store(at + 64, tl.sum(g * by_alpha, 0))
        g = g * slope
    return _product(_without_dc(g, V, H, M), matrix, M)


@triton.jit
def _matrix(basis, V: tl.constexpr, H: tl.constexpr):
    p = tl.arange(0, 16)
    at = basis + (2 * V + H) * 256 + p[:, None] * 16 + p[None, :]
    return tl.load(at), tl.load(at + 1024)


@triton.jit
def _dct(x, matrix, V: tl.constexpr, H: tl.constexpr, M: tl.constexpr):
    high, low = matrix
    return _without_dc(_product(x, (tl.trans(high), tl.trans(low)), M), V, H, M)


@triton.jit
def _product(x, matrix, M: tl.constexpr):
    """Three products of TF32 on tensor cores, together as exact as one of float32."""
    PRECISION: tl.constexpr = "tf32" if M.nvidia else "ieee"
    high, low = matrix
    # Triton's own "tf32x3" also looks for infinities: a fifth more instructions in all.
    most = ((x.to(tl.int32, bitcast=True) + 4096) & -8192).to(tl.float32, bitcast=True)
    product = tl.dot(x - most, high, input_precision=PRECISION)
    product = tl.dot(most, low, product, input_precision=PRECISION)
    return tl.dot(most, high, product, input_precision=PRECISION)


@triton.jit
def _without_dc(z, V: tl.constexpr, H: tl.constexpr, M: tl.constexpr):
    if M.zero_dc and V + H == 0:
        z = tl.where(tl.arange(0, 16)[None, :] == 0, 0.0, z)
    return z


@triton.jit
def _frequencies(V: tl.constexpr, H: tl.constexpr):
    p = tl.arange(0, 16)
    return (2 * (p // 4) + V) * 8 + 2 * (p % 4) + H


@triton.jit
def _tables(steps, alphas, table, V: tl.constexpr, H: tl.constexpr):
    at = table * 64 + _frequencies(V, H)
    return tl.load(steps + at)[None, :], tl.load(alphas + at)[None, :]
