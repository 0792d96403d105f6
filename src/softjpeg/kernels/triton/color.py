"""The fused layer in Triton for RGB at 4:4:4, and the colours of `softjpeg.functional.color`.

Each pixel is read once and written once; backward, input and gradient are read, one is written.
Chroma is held around 0, so only luma is shifted. The scale 255 cancels out of the image's gradient,
and whoever adds up the sums of table gradients divides them by it.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from softjpeg.kernels.triton.blocks import butterfly, code_class, differentiate_class
from softjpeg.kernels.triton.planes import fold, locate, read, read_own, view, write


@triton.jit
def color_forward(
    image, out, basis, steps, alphas, blocks, rows, columns, height, width,
    image_strides, out_strides, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """N blocks of all three components."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    y, u, v = read_ycc(image, batch, at, image_strides, M)
    y, u, v = butterfly(y), butterfly(u), butterfly(v)
    y0, u0, v0 = _code(y[0], u[0], v[0], 0, 0, basis, steps, alphas, M)
    y1, u1, v1 = _code(y[1], u[1], v[1], 0, 1, basis, steps, alphas, M)
    y2, u2, v2 = _code(y[2], u[2], v[2], 1, 0, basis, steps, alphas, M)
    y3, u3, v3 = _code(y[3], u[3], v[3], 1, 1, basis, steps, alphas, M)
    y, u = butterfly((y0, y1, y2, y3)), butterfly((u0, u1, u2, u3))
    v = butterfly((v0, v1, v2, v3))
    write_rgb(out, y, u, v, batch, at, exists, out_strides, M)


@triton.jit
def color_backward(
    image, grad, out, sums, basis, steps, alphas, blocks, rows, columns, height, width,
    image_strides, grad_strides, out_strides, M: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Its adjoint; sums of table gradients go to `sums`: (programs, 3, rounds, 2, 64)."""
    batch, at, exists = blocks_of(blocks, rows, columns, height, width, N)
    y, u, v = read_ycc(image, batch, at, image_strides, M)
    gy, gu, gv = read_grads(grad, batch, at, exists, grad_strides, M)
    sums += tl.program_id(0).to(tl.int64) * (3 * M.rounds * 128)
    y, u, v = butterfly(y), butterfly(u), butterfly(v)
    gy, gu, gv = butterfly(gy), butterfly(gu), butterfly(gv)
    y0, u0, v0 = _differentiate(
        y[0], u[0], v[0], gy[0], gu[0], gv[0], 0, 0, basis, steps, alphas, sums, M
    )
    y1, u1, v1 = _differentiate(
        y[1], u[1], v[1], gy[1], gu[1], gv[1], 0, 1, basis, steps, alphas, sums, M
    )
    y2, u2, v2 = _differentiate(
        y[2], u[2], v[2], gy[2], gu[2], gv[2], 1, 0, basis, steps, alphas, sums, M
    )
    y3, u3, v3 = _differentiate(
        y[3], u[3], v[3], gy[3], gu[3], gv[3], 1, 1, basis, steps, alphas, sums, M
    )
    gy, gu = butterfly((y0, y1, y2, y3)), butterfly((u0, u1, u2, u3))
    gv = butterfly((v0, v1, v2, v3))
    if not M.even:
        gy, gu, gv = fold(gy, at), fold(gu, at), fold(gv, at)
    write_grads(out, gy, gu, gv, batch, at, exists, out_strides, M)


@triton.jit
def _code(
    y, u, v, V: tl.constexpr, H: tl.constexpr, basis, steps, alphas, M: tl.constexpr
):  # fmt: skip
    # Class by class: basis and tables of all of them would not fit into registers.
    y = code_class(y, V, H, basis, steps, alphas, 0, M)
    u = code_class(u, V, H, basis, steps, alphas, 1, M)
    return y, u, code_class(v, V, H, basis, steps, alphas, 1, M)


@triton.jit
def _differentiate(
    y, u, v, gy, gu, gv, V: tl.constexpr, H: tl.constexpr, basis, steps, alphas, sums,
    M: tl.constexpr,
):  # fmt: skip
    size: tl.constexpr = M.rounds * 128
    gy = differentiate_class(y, gy, V, H, basis, steps, alphas, 0, sums, M)
    gu = differentiate_class(u, gu, V, H, basis, steps, alphas, 1, sums + size, M)
    gv = differentiate_class(v, gv, V, H, basis, steps, alphas, 1, sums + 2 * size, M)
    return gy, gu, gv


@triton.jit
def blocks_of(blocks, rows, columns, height, width, N: tl.constexpr):
    """A program's N blocks: batch index, where they lie, which exist."""
    batch, row, column, exists = locate(rows, columns, blocks, N)
    return batch, (row, column, height, width), exists


@triton.jit
def channels(pointer, batch, at, strides):
    """Views of R, G and B."""
    sb, sc, sh, sw = strides
    first, sh, sw = view(pointer, batch, at, (sb, sh, sw))
    step = tl.full((), sc, tl.int64)
    return (first, sh, sw), (first + step, sh, sw), (first + 2 * step, sh, sw)


@triton.jit
def read_ycc(image, batch, at, strides, M: tl.constexpr):
    """Level-shifted Y, Cb and Cr of blocks."""
    red, green, blue = channels(image, batch, at, strides)
    r, g, b = read(red, at, M.even), read(green, at, M.even), read(blue, at, M.even)
    y0, u0, v0 = to_ycc(r[0], g[0], b[0], M.rounding)
    y1, u1, v1 = to_ycc(r[1], g[1], b[1], M.rounding)
    y2, u2, v2 = to_ycc(r[2], g[2], b[2], M.rounding)
    y3, u3, v3 = to_ycc(r[3], g[3], b[3], M.rounding)
    return (y0, y1, y2, y3), (u0, u1, u2, u3), (v0, v1, v2, v3)


@triton.jit
def write_rgb(out, y, u, v, batch, at, exists, strides, M: tl.constexpr):
    """Decoded Y, Cb and Cr as pixels."""
    r0, g0, b0 = to_rgb(y[0], u[0], v[0], M.rounding)
    r1, g1, b1 = to_rgb(y[1], u[1], v[1], M.rounding)
    r2, g2, b2 = to_rgb(y[2], u[2], v[2], M.rounding)
    r3, g3, b3 = to_rgb(y[3], u[3], v[3], M.rounding)
    red, green, blue = channels(out, batch, at, strides)
    write(red, (r0, r1, r2, r3), at, exists, M.even)
    write(green, (g0, g1, g2, g3), at, exists, M.even)
    write(blue, (b0, b1, b2, b3), at, exists, M.even)


@triton.jit
def read_grads(grad, batch, at, exists, strides, M: tl.constexpr):
    """Gradients of decoded Y, Cb and Cr from those of the pixels."""
    red, green, blue = channels(grad, batch, at, strides)
    r = read_own(red, at, exists, M.even)
    g = read_own(green, at, exists, M.even)
    b = read_own(blue, at, exists, M.even)
    y0, u0, v0 = to_rgb_adjoint(r[0], g[0], b[0])
    y1, u1, v1 = to_rgb_adjoint(r[1], g[1], b[1])
    y2, u2, v2 = to_rgb_adjoint(r[2], g[2], b[2])
    y3, u3, v3 = to_rgb_adjoint(r[3], g[3], b[3])
    return (y0, y1, y2, y3), (u0, u1, u2, u3), (v0, v1, v2, v3)


@triton.jit
def write_grads(out, y, u, v, batch, at, exists, strides, M: tl.constexpr):
    """Gradients of the pixels from those of Y, Cb and Cr."""
    r0, g0, b0 = to_ycc_adjoint(y[0], u[0], v[0])
    r1, g1, b1 = to_ycc_adjoint(y[1], u[1], v[1])
    r2, g2, b2 = to_ycc_adjoint(y[2], u[2], v[2])
    r3, g3, b3 = to_ycc_adjoint(y[3], u[3], v[3])
    red, green, blue = channels(out, batch, at, strides)
    write(red, (r0, r1, r2, r3), at, exists, M.even)
    write(green, (g0, g1, g2, g3), at, exists, M.even)
    write(blue, (b0, b1, b2, b3), at, exists, M.even)


@triton.jit
def to_ycc(r, g, b, ROUNDING: tl.constexpr):
    """Pixels in 0..1 to Y, Cb and Cr around 0."""
    r, g, b = r * 255, g * 255, b * 255
    y = 0.299 * r + 0.587 * g + 0.114 * b
    u = -0.168735892 * r - 0.331264108 * g + 0.5 * b
    v = 0.5 * r - 0.418687589 * g - 0.081312411 * b
    if ROUNDING:
        y, u, v = tl.floor(y + 0.5), tl.floor(u + 0.5), tl.floor(v + 0.5)
    return y - 128, u, v


@triton.jit
def to_ycc_adjoint(y, u, v):
    """Its adjoint, but for the scale."""
    r = 0.299 * y - 0.168735892 * u + 0.5 * v
    g = 0.587 * y - 0.331264108 * u - 0.418687589 * v
    b = 0.114 * y + 0.5 * u - 0.081312411 * v
    return r, g, b


@triton.jit
def to_rgb(y, u, v, ROUNDING: tl.constexpr):
    """Inverse of `to_ycc`, with `ROUNDING` as a decoder shows it."""
    if ROUNDING:
        y, u, v = sample(y), sample(u), sample(v)
    y = y + 128
    r, g, b = y + 1.402 * v, y - 0.344136286 * u - 0.714136286 * v, y + 1.772 * u
    if ROUNDING:
        r, g, b = to_byte(r), to_byte(g), to_byte(b)
    return r * (1 / 255), g * (1 / 255), b * (1 / 255)


@triton.jit
def to_rgb_adjoint(r, g, b):
    """Its adjoint, but for the scale."""
    return r + g + b, 1.772 * b - 0.344136286 * g, 1.402 * r - 0.714136286 * g


@triton.jit
def to_byte(x):
    """Rounded half up, as libjpeg does, to 0..255."""
    return tl.minimum(tl.maximum(tl.floor(x + 0.5), 0.0), 255.0)


@triton.jit
def sample(x):
    """A decoded sample around 0 as libjpeg holds it."""
    return to_byte(x + 128) - 128
