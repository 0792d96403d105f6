"""Planes in Triton: where blocks lie, and how their samples are read and written.

``at`` is (row, column, height, width): of N blocks, (N, 1), and of the plane in samples. ``here``
is (pointers to the first samples of the blocks, stride down, stride right).
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl

from softjpeg.kernels.triton.blocks import corner


@triton.jit
def locate(rows, columns, blocks, N: tl.constexpr):
    """Plane, row and column of a program's N blocks, counted along rows, and which exist."""
    first, n, exists = tile(blocks, N)
    row, column = first // columns, n + first % columns
    more = carry(column, columns)
    column -= more * columns
    plane, row = row // rows, more + row % rows
    more = carry(row, rows)
    return plane + more, row - more * rows, column, exists


@triton.jit
def tile(blocks, N: tl.constexpr):
    """A program's first block, (N, 1) offsets of all from it, and which of them exist."""
    first = tl.program_id(0) * N
    n = tl.arange(0, N)[:, None]
    return first, tl.minimum(n, blocks - 1 - first), first + n < blocks


@triton.jit
def carry(n, size):
    """n // size of small n, by a product: integer division takes twenty instructions."""
    return ((n.to(tl.float32) + 0.5) * (1.0 / size)).to(tl.int32)


@triton.jit
def view(pointer, plane, at, strides):
    """Blocks of plane number `plane`; strides between planes, down and right."""
    apart, sh, sw = strides
    # Offsets may pass 2³¹; inside a block they do not.
    offset = plane.to(tl.int64) * apart + (at[0] * 8).to(tl.int64) * sh
    return pointer + offset + (at[1] * 8).to(tl.int64) * sw, sh, sw


@triton.jit
def read(here, at, EVEN: tl.constexpr):
    """Samples of blocks by corners, float32; past an edge, those of the edge."""
    return (
        _read_corner(here, 0, 0, at, EVEN),
        _read_corner(here, 0, 1, at, EVEN),
        _read_corner(here, 1, 0, at, EVEN),
        _read_corner(here, 1, 1, at, EVEN),
    )


@triton.jit
def read_own(here, at, exists, EVEN: tl.constexpr):
    """The same, 0 past an edge and where no block exists."""
    return (
        _read_own_corner(here, 0, 0, at, exists, EVEN),
        _read_own_corner(here, 0, 1, at, exists, EVEN),
        _read_own_corner(here, 1, 0, at, exists, EVEN),
        _read_own_corner(here, 1, 1, at, exists, EVEN),
    )


@triton.jit
def write(here, corners, at, exists, EVEN: tl.constexpr):
    """The plane's own samples of existing blocks, in the tensor's dtype."""
    _write_corner(here, corners[0], 0, 0, at, exists, EVEN)
    _write_corner(here, corners[1], 0, 1, at, exists, EVEN)
    _write_corner(here, corners[2], 1, 0, at, exists, EVEN)
    _write_corner(here, corners[3], 1, 1, at, exists, EVEN)


@triton.jit
def fold(corners, at):
    """Adjoint of `read`: the gradient of copies past an edge goes to the last sample."""
    a, b, c, d = corners
    row, column, height, width = at
    i, j = corner(0, 0)
    top, left = i + 8 * row - (height - 1), j + 8 * column - (width - 1)
    bottom, right = top + 7 - 2 * i, left + 7 - 2 * j
    a, b = _fold_pair(a, b, left, right, 2)
    c, d = _fold_pair(c, d, left, right, 2)
    a, c = _fold_pair(a, c, top, bottom, 1)
    b, d = _fold_pair(b, d, top, bottom, 1)
    return a, b, c, d


@triton.jit
def _read_corner(here, DOWN: tl.constexpr, RIGHT: tl.constexpr, at, EVEN: tl.constexpr):
    start, sh, sw = here
    row, column, height, width = at
    i, j = corner(DOWN, RIGHT)
    if not EVEN:
        i = tl.minimum(i, height - 1 - 8 * row)
        j = tl.minimum(j, width - 1 - 8 * column)
    return tl.load(start + i * sh + j * sw).to(tl.float32)


@triton.jit
def _read_own_corner(here, DOWN: tl.constexpr, RIGHT: tl.constexpr, at, exists, EVEN: tl.constexpr):
    start, sh, sw = here
    i, j = corner(DOWN, RIGHT)
    inside = _is_inside(i, j, at, exists, EVEN)
    return tl.load(start + i * sh + j * sw, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _write_corner(here, x, DOWN: tl.constexpr, RIGHT: tl.constexpr, at, exists, EVEN: tl.constexpr):
    start, sh, sw = here
    i, j = corner(DOWN, RIGHT)
    inside = _is_inside(i, j, at, exists, EVEN)
    tl.store(start + i * sh + j * sw, x.to(start.dtype.element_ty), mask=inside)


@triton.jit
def _is_inside(i, j, at, exists, EVEN: tl.constexpr):
    row, column, height, width = at
    inside = exists & (i >= 0) & (j >= 0)
    if not EVEN:
        inside = inside & (i + 8 * row < height) & (j + 8 * column < width)
    return inside


@triton.jit
def _fold_pair(near, far, past_near, past_far, AXIS: tl.constexpr):
    tail = tl.where(past_near >= 0, near, 0.0) + tl.where(past_far >= 0, far, 0.0)
    square = tl.reshape(tail, (tail.shape[0], 4, 4))
    square = tl.broadcast_to(tl.sum(square, AXIS, keep_dims=True), square.shape)
    tail = tl.reshape(square, tail.shape)
    return tl.where(past_near == 0, tail, near), tl.where(past_far == 0, tail, far)
