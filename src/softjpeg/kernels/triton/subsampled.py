"""The fused layer in Triton for RGB at 4:2:0 and 4:2:2: chroma first, then luma and all pixels.

Triangle upsampling needs the samples around each chroma block, decoded. A kernel that decoded its
neighbours' too would read an image once but code chroma up to four times. Two kernels read it twice
and write and read the chroma planes between: at 4:2:0, of bytes per float32 pixel,

* forward ``12 + 2`` and ``12 + 2 + 12``: 40, where one read and one write are 24;
* backward ``24 + 2`` and ``24 + 2 + 12``: 64, where they are 36.

What the second kernel reads again is in the L2 cache where a batch is not much larger than that.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from softjpeg.kernels.triton.blocks import code, differentiate
from softjpeg.kernels.triton.chroma import (
    downsample,
    downsample_adjoint,
    upsample,
    upsample_adjoint,
)
from softjpeg.kernels.triton.color import (
    blocks_of,
    read_grads,
    read_ycc,
    sample,
    write_grads,
    write_rgb,
)
from softjpeg.kernels.triton.planes import fold, view, write


@triton.jit
def chroma_forward(
    image, chroma, basis, steps, alphas, blocks, rows, columns, height, width, image_strides,
    V: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """N blocks of Cb and of Cr, decoded, to `chroma`: (B, 2, 8·rows, 8·columns)."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    u, v = _downsampled(image, batch, at, image_strides, V, M)
    u = code(u, basis, steps, alphas, 1, M)
    v = code(v, basis, steps, alphas, 1, M)
    if M.rounding:
        u = (sample(u[0]), sample(u[1]), sample(u[2]), sample(u[3]))
        v = (sample(v[0]), sample(v[1]), sample(v[2]), sample(v[3]))
    _write_chroma(chroma, u, v, batch, at, exists, rows, columns)


@triton.jit
def luma_forward(
    image, chroma, out, basis, steps, alphas, blocks, rows, columns, height, width,
    chroma_rows, chroma_columns, image_strides, out_strides,
    V: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """N blocks of Y, and their pixels."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    y, _u, _v = read_ycc(image, batch, at, image_strides, M)
    y = code(y, basis, steps, alphas, 0, M)
    plane = chroma + batch.to(tl.int64) * (2 * 64 * chroma_rows * chroma_columns)
    u = _upsampled(plane, at, chroma_columns, V, M)
    v = _upsampled(plane + 64 * chroma_rows * chroma_columns, at, chroma_columns, V, M)
    write_rgb(out, y, u, v, batch, at, exists, out_strides, M)


@triton.jit
def chroma_backward(
    image, grad, chroma, sums, basis, steps, alphas, blocks, rows, columns, height, width,
    image_strides, grad_strides, V: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Gradients of Cb and Cr samples to `chroma`, of tables to `sums`: (programs, 2, …)."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    u, v = _downsampled(image, batch, at, image_strides, V, M)
    rgb = _images(grad, batch, grad_strides)
    u0, v0 = upsample_adjoint(rgb, at, exists, 0, 0, V)
    u1, v1 = upsample_adjoint(rgb, at, exists, 0, 1, V)
    u2, v2 = upsample_adjoint(rgb, at, exists, 1, 0, V)
    u3, v3 = upsample_adjoint(rgb, at, exists, 1, 1, V)
    size: tl.constexpr = M.rounds * 128
    sums += tl.program_id(0).to(tl.int64) * (2 * size)
    u = differentiate(u, (u0, u1, u2, u3), basis, steps, alphas, 1, sums, M)
    v = differentiate(v, (v0, v1, v2, v3), basis, steps, alphas, 1, sums + size, M)
    if not M.even:
        # As `downsample_adjoint` wants them.
        chroma_at = (at[0], at[1], (height + V - 1) // V, width // 2 + 1)
        u, v = fold(u, chroma_at), fold(v, chroma_at)
    _write_chroma(chroma, u, v, batch, at, exists, rows, columns)


@triton.jit
def luma_backward(
    image, grad, chroma, out, sums, basis, steps, alphas, blocks, rows, columns, height, width,
    chroma_rows, chroma_columns, image_strides, grad_strides, out_strides,
    V: tl.constexpr, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Gradients of the pixels, and of the luma tables to `sums`: (programs, 1, rounds, 2, 64)."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    y, _u, _v = read_ycc(image, batch, at, image_strides, M)
    grads, _gu, _gv = read_grads(grad, batch, at, exists, grad_strides, M)
    sums += tl.program_id(0).to(tl.int64) * (M.rounds * 128)
    y = differentiate(y, grads, basis, steps, alphas, 0, sums, M)
    if not M.even:
        y = fold(y, at)
    plane = chroma + batch.to(tl.int64) * (2 * 64 * chroma_rows * chroma_columns)
    u = _spread(plane, at, chroma_columns, V)
    v = _spread(plane + 64 * chroma_rows * chroma_columns, at, chroma_columns, V)
    write_grads(out, y, u, v, batch, at, exists, out_strides, M)


@triton.jit
def _images(pointer, batch, strides):
    sb, sc, sh, sw = strides
    return pointer + batch.to(tl.int64) * sb, sc, sh, sw


@triton.jit
def _downsampled(image, batch, at, strides, V: tl.constexpr, M: tl.constexpr):
    rgb = _images(image, batch, strides)
    u0, v0 = downsample(rgb, at, 0, 0, V, M)
    u1, v1 = downsample(rgb, at, 0, 1, V, M)
    u2, v2 = downsample(rgb, at, 1, 0, V, M)
    u3, v3 = downsample(rgb, at, 1, 1, V, M)
    return (u0, u1, u2, u3), (v0, v1, v2, v3)


@triton.jit
def _upsampled(plane, at, columns, V: tl.constexpr, M: tl.constexpr):
    return (
        upsample(plane, at, columns, 0, 0, V, M),
        upsample(plane, at, columns, 0, 1, V, M),
        upsample(plane, at, columns, 1, 0, V, M),
        upsample(plane, at, columns, 1, 1, V, M),
    )


@triton.jit
def _spread(plane, at, columns, V: tl.constexpr):
    return (
        downsample_adjoint(plane, at, columns, 0, 0, V),
        downsample_adjoint(plane, at, columns, 0, 1, V),
        downsample_adjoint(plane, at, columns, 1, 0, V),
        downsample_adjoint(plane, at, columns, 1, 1, V),
    )


@triton.jit
def _write_chroma(chroma, u, v, batch, at, exists, rows, columns):
    size = 64 * rows * columns
    strides = (2 * size, 8 * columns, 1)
    write(view(chroma, batch, at, strides), u, at, exists, True)
    write(view(chroma + size, batch, at, strides), v, at, exists, True)
