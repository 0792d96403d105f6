"""Subsampled chroma in Triton: libjpeg's box downsampling and triangle upsampling, and adjoints.

A pair of planes is (2, rows·8, columns·8) float32 per image: Cb and Cr, whole blocks, contiguous.
A chroma sample stands for V rows (2 at 4:2:0, 1 at 4:2:2) and two columns of pixels. ``rgb`` is
(pointers to the first red pixel of each block's image, channel stride, stride down, right); ``at``
is (row, column) of blocks and (height, width) of the image.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from softjpeg.kernels.triton.blocks import corner
from softjpeg.kernels.triton.color import to_rgb_adjoint, to_ycc


@triton.jit
def downsample(rgb, at, DOWN: tl.constexpr, RIGHT: tl.constexpr, V: tl.constexpr, M: tl.constexpr):
    """Cb and Cr of a corner of chroma blocks."""
    i, j = _positions(at, DOWN, RIGHT)
    height, width = at[2], at[3]
    # libjpeg repeats columns before it downsamples, and rows after.
    i = tl.minimum(i, (height - 1) // V)
    u = tl.zeros((i + j).shape, tl.float32)
    v = u
    for dy in tl.static_range(V):
        for dx in tl.static_range(2):
            y, x = tl.minimum(V * i + dy, height - 1), tl.minimum(2 * j + dx, width - 1)
            start, sc = _pixel(rgb, y, x)
            r, g, b = tl.load(start), tl.load(start + sc), tl.load(start + 2 * sc)
            _y, du, dv = to_ycc(r.to(tl.float32), g.to(tl.float32), b.to(tl.float32), M.rounding)
            u += du
            v += dv
    u, v = u * (0.5 / V), v * (0.5 / V)
    if M.rounding:
        bias = (V - 1 + j % 2) * (0.5 / V)
        u, v = tl.floor(u + bias), tl.floor(v + bias)
    return u, v


@triton.jit
def downsample_adjoint(
    plane, at, columns, DOWN: tl.constexpr, RIGHT: tl.constexpr, V: tl.constexpr
):
    """Gradient of Cb (or Cr) at the pixels of a corner of luma blocks.

    `plane` is that of the samples, `columns` blocks wide, copies below the last row added to it,
    and copies of the last column of pixels added to the first sample that has no other.
    """
    y, x = _positions(at, DOWN, RIGHT)
    height, width = at[2], at[3]
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    line = plane + y // V * (columns * 8)
    gradient = tl.load(line + x // 2)
    copies = tl.where(x == width - 1, 2 - width % 2, 0)
    first = x // 2 + copies - 1
    copied = (copies > 0) & (first < columns * 8)
    gradient += tl.load(line + first, mask=copied, other=0.0) * copies
    # An odd last row of pixels counts twice in its sample.
    return gradient * (0.5 / V) * (1 + tl.where(y == height - 1, height % V, 0))


@triton.jit
def upsample(
    plane, at, columns, DOWN: tl.constexpr, RIGHT: tl.constexpr, V: tl.constexpr, M: tl.constexpr
):
    """Cb (or Cr) at the pixels of a corner of luma blocks, from a plane `columns` blocks wide."""
    y, x = _positions(at, DOWN, RIGHT)
    height, width = at[2], at[3]
    y, x = tl.minimum(y, height - 1), tl.minimum(x, width - 1)
    far = _far_weight(width)
    j, other = x // 2, _farther(x, width)
    line = plane + y // V * (columns * 8)
    near, beside = tl.load(line + j), tl.load(line + other)
    if V == 2:
        line = plane + _farther(y, height) * (columns * 8)
        near += far * (tl.load(line + j) - near)
        beside += far * (tl.load(line + other) - beside)
    pixels = near + far * (beside - near)
    if M.rounding:
        bias = tl.where(x % 2 == 0, 0.25 * V, 0.5 - 0.0625 * (V - 1))
        # The bias must be exact even where a quarter sum came out a hair below its value.
        pixels = tl.floor(pixels + bias + 1e-3)
    return pixels


@triton.jit
def upsample_adjoint(rgb, at, exists, DOWN: tl.constexpr, RIGHT: tl.constexpr, V: tl.constexpr):
    """Gradients of Cb and Cr samples in a corner of chroma blocks, from those of the pixels."""
    i, j = _positions(at, DOWN, RIGHT)
    height, width = at[2], at[3]
    far = _far_weight(width)
    r = tl.zeros((i + j).shape, tl.float32)
    g, b = r, r
    # Two rows and columns of pixels are nearest to a sample, one more on either side is next.
    for dy in range(3 * V - 2):
        y = V * i + dy - (V - 1)
        down = tl.where(y // V == i, 1.0, 0.0)
        if V == 2:
            down += far * (tl.where(_farther(y, height) == i, 1.0, 0.0) - down)
        for dx in range(4):
            x = 2 * j + dx - 1
            right = tl.where(x // 2 == j, 1.0, 0.0)
            right += far * (tl.where(_farther(x, width) == j, 1.0, 0.0) - right)
            inside = exists & (y >= 0) & (y < height) & (x >= 0) & (x < width)
            start, sc = _pixel(rgb, y, x)
            weight = down * right
            r += weight * tl.load(start, mask=inside, other=0.0).to(tl.float32)
            g += weight * tl.load(start + sc, mask=inside, other=0.0).to(tl.float32)
            b += weight * tl.load(start + 2 * sc, mask=inside, other=0.0).to(tl.float32)
    _y, u, v = to_rgb_adjoint(r, g, b)
    return u, v


@triton.jit
def _positions(at, DOWN: tl.constexpr, RIGHT: tl.constexpr):
    i, j = corner(DOWN, RIGHT)
    return i + 8 * at[0], j + 8 * at[1]


@triton.jit
def _pixel(rgb, y, x):
    first, sc, sh, sw = rgb
    return first + y.to(tl.int64) * sh + x.to(tl.int64) * sw, tl.full((), sc, tl.int64)


@triton.jit
def _far_weight(width):
    # libjpeg falls back to plain replication where a row has no interior.
    return tl.where(width > 4, 0.25, 0.0)


@triton.jit
def _farther(x, size):
    """The second nearest of the samples that stand for two pixels each."""
    return tl.minimum(tl.maximum(x // 2 - 1 + 2 * (x % 2), 0), (size - 1) // 2)
