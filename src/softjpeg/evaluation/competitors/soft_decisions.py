"""Soft decision quantization (SDQ): indices of least weighted error + λ·bits, and their codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from softjpeg.codec.image import encode
from softjpeg.codec.rdo import QuantizePlane, trellis_rounds
from softjpeg.presets.preset import Preset


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
    """The indices, by the same rounds of trellis and Huffman codes as the mode "rdo".

    Args:
        coefficients: (Y, Cb, Cr), each (rows, columns, 8, 8), pixel scale.
        preset: tables and subsampling.
        weights: (3, 8, 8) w ≥ 0 of Y, Cb, Cr.
        rate_weight: λ ≥ 0, in weighted squared error per bit.
        size: (height, width) of the image in pixels.

    Returns:
        Integers of the shapes of the coefficients.
    """
    steps = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]

    def quantize_all(quantize: QuantizePlane) -> list[Tensor]:
        return [quantize(component, z) for component, z in enumerate(coefficients)]

    return trellis_rounds(
        quantize_all, steps, list(weights), rate_weight, size=size, subsampling=preset.subsampling
    )
