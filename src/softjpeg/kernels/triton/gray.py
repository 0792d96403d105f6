"""The fused layer in Triton for gray images and feature maps: every plane by itself.

Each sample is read once and written once; backward, input and gradient are read, one is written.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from softjpeg.kernels.triton.blocks import code, differentiate
from softjpeg.kernels.triton.planes import carry, fold, locate, read, read_own, tile, view, write


@triton.jit
def plane_forward(
    image, out, basis, steps, alphas, blocks, rows, columns, height, width,
    channels, image_strides, out_strides, GRAY: tl.constexpr, SPREAD: tl.constexpr, M: tl.constexpr,
    N: tl.constexpr,
):  # fmt: skip
    """N blocks of the planes that share table number `program_id(1)`."""
    batch, channel, row, column, exists = _blocks(blocks, channels, rows, columns, SPREAD, N)
    at = (row, column, height, width)
    samples = read(_channel(image, batch, channel, at, image_strides), at, M.even)
    if GRAY:
        samples = level_shift(samples, M.rounding)
    kind = tl.program_id(1)
    shown = code(samples, basis, steps, alphas, kind, M)
    if GRAY:
        shown = level_back(shown, M.rounding)
    write(_channel(out, batch, channel, at, out_strides), shown, at, exists, M.even)


@triton.jit
def plane_backward(
    image, grad, out, sums, basis, steps, alphas, blocks, rows, columns, height, width,
    channels, image_strides, grad_strides, out_strides, GRAY: tl.constexpr, SPREAD: tl.constexpr,
    M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Its adjoint; sums of table gradients go to `sums`: (programs, tables, rounds, 2, 64)."""
    batch, channel, row, column, exists = _blocks(blocks, channels, rows, columns, SPREAD, N)
    at = (row, column, height, width)
    samples = read(_channel(image, batch, channel, at, image_strides), at, M.even)
    if GRAY:
        samples = level_shift(samples, M.rounding)
    grads = read_own(_channel(grad, batch, channel, at, grad_strides), at, exists, M.even)
    kind = tl.program_id(1)
    program = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + kind
    sums += program * (M.rounds * 128)
    sample_grads = differentiate(samples, grads, basis, steps, alphas, kind, sums, M)
    if not M.even:
        sample_grads = fold(sample_grads, at)
    write(_channel(out, batch, channel, at, out_strides), sample_grads, at, exists, M.even)


@triton.jit
def level_shift(samples, ROUNDING: tl.constexpr):
    """Pixels in 0..1 to samples in -128..127."""
    a, b, c, d = samples
    return _shift(a, ROUNDING), _shift(b, ROUNDING), _shift(c, ROUNDING), _shift(d, ROUNDING)


@triton.jit
def level_back(samples, ROUNDING: tl.constexpr):
    """Samples in -128..127 to pixels in 0..1."""
    a, b, c, d = samples
    return _back(a, ROUNDING), _back(b, ROUNDING), _back(c, ROUNDING), _back(d, ROUNDING)


@triton.jit
def _shift(x, ROUNDING: tl.constexpr):
    x = x * 255
    return (tl.floor(x + 0.5) if ROUNDING else x) - 128


@triton.jit
def _back(x, ROUNDING: tl.constexpr):
    x = x + 128
    if ROUNDING:
        x = tl.minimum(tl.maximum(tl.floor(x + 0.5), 0.0), 255.0)
    return x * (1 / 255)


@triton.jit
def _blocks(blocks, channels, rows, columns, SPREAD: tl.constexpr, N: tl.constexpr):
    if SPREAD:
        # Where channels lie side by side in memory, they do in a tile.
        first, n, exists = tile(blocks, N)
        channel = n + first % channels
        more = carry(channel, channels)
        channel -= more * channels
        position = first // channels + more
        row = position // columns
        batch, row, column = row // rows, row % rows, position % columns
    else:
        plane, row, column, exists = locate(rows, columns, blocks, N)
        shared = channels // tl.num_programs(1)
        batch, channel = plane // shared, tl.program_id(1) + plane % shared
    return batch, channel, row, column, exists


@triton.jit
def _channel(pointer, batch, channel, at, strides):
    sb, sc, sh, sw = strides
    return view(pointer + channel.to(tl.int64) * sc, batch, at, (sb, sh, sw))
