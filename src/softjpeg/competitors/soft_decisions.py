"""Soft decision quantization (SDQ): indices of least weighted error + λ·bits, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from softjpeg.codec import encode
from softjpeg.entropy.huffman import code_lengths, optimal_table
from softjpeg.entropy.limits import check_coefficients
from softjpeg.entropy.scan import scan_blocks, scan_symbols, symbol_counts
from softjpeg.preset import Preset
from softjpeg.trellis import decide_blocks

_ROUNDS = 2


def encode_soft(image: Tensor, preset: Preset, weights: Tensor, rate_weight: float) -> bytes:
    """A baseline JPEG whose AC indices minimize ``Σ w·(z - kq)² + λ·bits`` under its own codes.

    Args:
        image: (3, H, W) uint8.
        preset: tables and subsampling.
        weights: (3, 8, 8) w ≥ 0 of Y, Cb, Cr.
        rate_weight: λ ≥ 0, in weighted squared error per bit.

    >>> image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    >>> encode_soft(image, Preset.from_quality(50), torch.ones(3, 8, 8), 1.0)[:2].hex()
    'ffd8'
    """
    size = (image.shape[-2], image.shape[-1])
    decide = partial(soft_indices, weights=weights, rate_weight=rate_weight, size=size)
    return encode(image, preset, decide)


def soft_indices(
    coefficients: Sequence[Tensor],
    preset: Preset,
    *,
    weights: Tensor,
    rate_weight: float,
    size: tuple[int, int],
) -> list[Tensor]:
    """Indices and Huffman codes found in turn: codes of plain rounding, indices under them, again.

    Args:
        coefficients: (Y, Cb, Cr), each (rows, columns, 8, 8), pixel scale.
        preset, weights, rate_weight: as in `encode_soft`.
        size: (height, width) of the image in pixels.

    Returns:
        Integers of the shapes of the coefficients.
    """
    tables = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]
    indices = [torch.round(z / q).long() for z, q in zip(coefficients, tables, strict=True)]
    for _ in range(_ROUNDS):
        luma, chroma = _ac_code_lengths(indices, size, preset.subsampling)
        each = zip(coefficients, tables, weights, (luma, chroma, chroma), strict=True)
        indices = [
            decide_blocks(z.reshape(-1, 8, 8), q, w, rate_weight, lengths).reshape(z.shape)
            for z, q, w, lengths in each
        ]
    return indices


def _ac_code_lengths(
    indices: Sequence[Tensor], size: tuple[int, int], subsampling: str
) -> tuple[Tensor, Tensor]:
    """Lengths (256,) of the optimal AC codes of luma and of chroma."""
    planes, layout = check_coefficients(
        [k.numpy() for k in indices], size=size, subsampling=subsampling, restart_interval=0
    )
    counts = symbol_counts(scan_symbols(scan_blocks(planes, layout, 0), layout))[0]
    luma, chroma = (torch.from_numpy(code_lengths(optimal_table(c))) for c in counts[1::2])
    return luma, chroma
