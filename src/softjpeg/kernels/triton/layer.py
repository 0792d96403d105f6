"""The fused layer in Triton: forward and backward of `JPEGLayer` and `FeatureJPEGLayer`.

Computed in float32, whatever the image's dtype. Backward computes what it needs from the input
anew. Every program sums its own table gradients, and the sums are added up in a fixed order.
"""
# mypy: allow-untyped-calls

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from softjpeg.kernels.arguments import DTYPES, check_layer
from softjpeg.kernels.triton.blocks import parity_basis
from softjpeg.kernels.triton.color import color_backward, color_forward
from softjpeg.kernels.triton.gray import plane_backward, plane_forward
from softjpeg.kernels.triton.quantizer import Mode
from softjpeg.kernels.triton.subsampled import (
    chroma_backward,
    chroma_forward,
    luma_backward,
    luma_forward,
)

_CHROMA_ROWS = {"4:2:0": 2, "4:2:2": 1}
_TILE = 32
"""Blocks of a program."""
# Sums of products are meant to be fused: a kernel that needs one rounded says so.
_OPTIONS = {"num_warps": 2, "enable_fp_fusion": True}


def forward(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool = False,
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
) -> Tensor:
    """An image, or feature maps, through DCT, soft quantizers and inverse.

    Args:
        image: (B, C, H, W) float32, bfloat16 or float16, any strides, on a CUDA device.
        steps, alphas: (rounds, kinds, 8, 8) float32 beside it: q > 0 and sharpness α > 0.
        layout, rounding, levels, window, zero_dc: of `softjpeg.functional.jpeg_layer`; levels need
            a window.

    Returns:
        (B, C, H, W) of the image's dtype, and of its strides where it is dense.

    Raises:
        ValueError: an argument that kernels cannot trust, or levels without a window.
    """
    mode = _mode(image, steps, alphas, layout, rounding, levels, window, zero_dc)
    out = torch.empty_like(image)
    if not image.numel():
        return out
    tables = (parity_basis(image.device), _by_kind(steps), _by_kind(alphas))
    strides = (image.stride(), out.stride())
    blocks, mode = _blocks(image, 8, 8, mode)
    with torch.cuda.device_of(image):
        if layout == "4:4:4":
            _launch(color_forward, blocks, 1)(image, out, *tables, *blocks, *strides, mode, _TILE)
        elif layout in _CHROMA_ROWS:
            v = _CHROMA_ROWS[layout]
            pairs, coarse = _blocks(image, 8 * v, 16, mode)
            chroma = _chroma_planes(image, pairs)
            _launch(chroma_forward, pairs, 1)(
                image, chroma, *tables, *pairs, image.stride(), v, coarse, _TILE
            )
            _launch(luma_forward, blocks, 1)(
                image, chroma, out, *tables, *blocks, *pairs[1:3], *strides, v, mode, _TILE
            )
        else:
            planes, groups, flags = _planes(image, steps, layout, blocks)
            _launch(plane_forward, planes, groups)(
                image, out, *tables, *planes, image.shape[1], *strides, *flags, mode, _TILE
            )
    return out


def backward(
    grad: Tensor,
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool = False,
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
    of_image: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of what `forward` was given, from the one of its result; rounding passes it on.

    Args:
        grad: (B, C, H, W) of any dtype of images, any strides.
        image, steps, alphas, layout, rounding, levels, window, zero_dc: as given to `forward`.
        of_image: whether the first is asked for; else it is empty.

    Returns:
        Those of image (its dtype), steps (at fixed α) and alphas (at fixed q), both float32.

    Raises:
        ValueError: an argument out of its range.
    """
    mode = _mode(image, steps, alphas, layout, rounding, levels, window, zero_dc)
    if grad.shape != image.shape or grad.dtype not in DTYPES:
        shape_and_dtype = f"{tuple(grad.shape)} {grad.dtype}"
        raise ValueError(
            f"grad must have the image's shape {tuple(image.shape)}, got {shape_and_dtype}"
        )
    out = torch.empty_like(image)
    if not image.numel():
        return out, torch.zeros_like(steps), torch.zeros_like(alphas)
    tables = (parity_basis(image.device), _by_kind(steps), _by_kind(alphas))
    strides = (image.stride(), grad.stride(), out.stride())
    blocks, mode = _blocks(image, 8, 8, mode)
    with torch.cuda.device_of(image):
        if layout == "4:4:4":
            sums = _sums(image, blocks, 3, mode)
            _launch(color_backward, blocks, 1)(
                image, grad, out, sums, *tables, *blocks, *strides, mode, _TILE
            )
            table_gradients = sums.sum(0)
        elif layout in _CHROMA_ROWS:
            v = _CHROMA_ROWS[layout]
            pairs, coarse = _blocks(image, 8 * v, 16, mode)
            chroma = _chroma_planes(image, pairs)
            sums = _sums(image, pairs, 2, mode)
            _launch(chroma_backward, pairs, 1)(
                image, grad, chroma, sums, *tables, *pairs, *strides[:2], v, coarse, _TILE
            )
            luma = _sums(image, blocks, 1, mode)
            _launch(luma_backward, blocks, 1)(
                image, grad, chroma, out, luma, *tables, *blocks, *pairs[1:3], *strides, v, mode,
                _TILE,
            )  # fmt: skip
            table_gradients = torch.cat([luma.sum(0), sums.sum(0)])
        else:
            planes, groups, flags = _planes(image, steps, layout, blocks)
            sums = _sums(image, planes, groups, mode)
            _launch(plane_backward, planes, groups)(
                image, grad, out, sums, *tables, *planes, image.shape[1], *strides, *flags, mode,
                _TILE,
            )  # fmt: skip
            table_gradients = sums.sum(0)
    by_steps, by_alphas = _by_round(table_gradients, steps.shape[1], layout).unbind(2)
    out = out if of_image else out.new_empty(0)
    return out, by_steps.reshape(steps.shape), by_alphas.reshape(alphas.shape)


class _Blocks(NamedTuple):
    blocks: int
    rows: int
    columns: int
    height: int
    width: int


def _blocks(image: Tensor, down: int, right: int, mode: Mode) -> tuple[_Blocks, Mode]:
    """The image in units of down × right pixels; whether they fill it is part of the mode."""
    batch, _, height, width = image.shape
    rows, columns = triton.cdiv(height, down), triton.cdiv(width, right)
    even = height % down == 0 and width % right == 0
    return _Blocks(batch * rows * columns, rows, columns, height, width), mode._replace(even=even)


def _planes(
    image: Tensor, steps: Tensor, layout: str, blocks: _Blocks
) -> tuple[_Blocks, int, tuple[bool, bool]]:
    """Blocks of the planes that share a table, how many tables, and how to go through them."""
    channels = image.shape[1]
    groups = steps.shape[1] if layout == "planes" else 1
    spread = groups == 1 and channels > 1 and image.stride(1) == 1
    planes = blocks._replace(blocks=blocks.blocks * channels // groups)
    return planes, groups, (layout == "gray", spread)


def _launch(kernel: Any, blocks: _Blocks, groups: int) -> Any:
    grid = (triton.cdiv(blocks.blocks, _TILE), groups)
    return functools.partial(kernel[grid], **_OPTIONS)


def _sums(image: Tensor, blocks: _Blocks, planes: int, mode: Mode) -> Tensor:
    programs = triton.cdiv(blocks.blocks, _TILE)
    return image.new_empty((programs, planes, mode.rounds, 2, 64), dtype=torch.float32)


def _chroma_planes(image: Tensor, pairs: _Blocks) -> Tensor:
    shape = (image.shape[0], 2, 8 * pairs.rows, 8 * pairs.columns)
    return image.new_empty(shape, dtype=torch.float32)


def _by_kind(tables: Tensor) -> Tensor:
    return tables.detach().to(torch.float32).transpose(0, 1).contiguous()


def _by_round(gradients: Tensor, kinds: int, layout: str) -> Tensor:
    """Gradients (planes, rounds, 2, 64) as (rounds, kinds, 2, 64)."""
    if layout == "gray":
        gradients = torch.nn.functional.pad(gradients, (0, 0, 0, 0, 0, 0, 0, kinds - 1))
    elif layout != "planes":
        gradients = torch.stack([gradients[0], gradients[1] + gradients[2]])
    return gradients.transpose(0, 1) / (1 if layout == "planes" else 255)


def _mode(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    layout: str,
    rounding: bool,
    levels: int | None,
    window: int | None,
    zero_dc: bool,
) -> Mode:
    """What kernels are compiled for, of arguments that they can trust."""
    check_layer(image, steps, alphas, layout)
    if image.dtype not in DTYPES:
        raise ValueError(f"image must be float32, bfloat16 or float16, got {image.dtype}")
    if levels is not None and window is None:
        raise ValueError(f"window must be given with levels, got None and {levels}")
    # TF32 came with Ampere; elsewhere float32 products are what there is.
    cuda = image.is_cuda and torch.version.hip is None
    nvidia = cuda and torch.cuda.get_device_capability(image.device) >= (8, 0)
    return Mode(len(steps), levels, window, zero_dc, rounding, False, nvidia)
