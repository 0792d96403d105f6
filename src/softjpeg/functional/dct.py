"""The orthonormal 8×8 DCT-II of JPEG (T.81, A.3.3) and its inverse."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats


def _build() -> Tensor:
    n = torch.arange(8, dtype=torch.float64)
    c = torch.cos((2 * n[None, :] + 1) * n[:, None] * math.pi / 16) / 2
    c[0] /= math.sqrt(2)
    return torch.kron(c, c)


# A basis first made in inference mode could not take part in training later.
with torch.inference_mode(False):
    _BASIS = _build()
    """(64, 64): row m is the m-th basis picture, raster order; its rows are orthonormal."""


@functools.cache
def _cached_basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return _BASIS.to(dtype=dtype, device=device)


def _basis(dtype: torch.dtype, device: torch.device) -> Tensor:
    # What a graph capture sees are stand-ins for tensors, which must not stay in a cache.
    if torch.compiler.is_compiling():
        return _BASIS.to(dtype=dtype, device=device)
    return _cached_basis(dtype, device)


def block_dct(plane: Tensor) -> Tensor:
    """Coefficients of every 8×8 block: ``Z = C X Cᵀ``.

    Args:
        plane: (..., H, W) float, level-shifted samples (-128..127), H and W multiples of 8.

    Returns:
        (..., H/8, W/8, 8, 8), raster order: [..., 0, 0] is DC = 8 × the block's mean.

    Raises:
        ValueError: H or W is not a multiple of 8.

    >>> block_dct(torch.ones(8, 16))[0, 1, 0, 0].item()
    8.0
    """
    check_floats(plane=plane)
    *lead, height, width = plane.shape
    if height % 8 or width % 8:
        raise ValueError(f"plane must have sides that are multiples of 8, got {height}x{width}")
    blocks = plane.reshape(*lead, height // 8, 8, width // 8, 8).transpose(-3, -2)
    flat = blocks.reshape(*lead, height // 8, width // 8, 64)
    transformed = flat @ _basis(plane.dtype, plane.device).T
    return transformed.reshape(*lead, height // 8, width // 8, 8, 8)


def block_idct(coefficients: Tensor) -> Tensor:
    """Inverse of `block_dct`: ``X = Cᵀ Z C``.

    Args:
        coefficients: (..., rows, columns, 8, 8) float, raster order.

    Returns:
        (..., 8·rows, 8·columns).

    >>> x = torch.randn(2, 16, 8)
    >>> torch.allclose(block_idct(block_dct(x)), x, atol=1e-5)
    True
    """
    check_floats(coefficients=coefficients)
    *lead, rows, columns, a, b = coefficients.shape
    if (a, b) != (8, 8):
        raise ValueError(
            f"coefficients must have shape (..., 8, 8), got {tuple(coefficients.shape)}"
        )
    flat = coefficients.flatten(-2) @ _basis(coefficients.dtype, coefficients.device)
    blocks = flat.reshape(*lead, rows, columns, 8, 8).transpose(-3, -2)
    return blocks.reshape(*lead, 8 * rows, 8 * columns)
