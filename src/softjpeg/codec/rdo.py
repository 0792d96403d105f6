"""Coefficient decisions for mode "rdo": least ``d(e) + λ·bits`` for the network, not for the eye.

Cb is decided first, then Cr, then Y; each takes the value that best makes up for the errors before
it (`DistortionModel.corrections`), and the trellis decides its indices with the weights of its
blocks. Huffman codes and indices are found in turn: the codes of plain rounding first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from softjpeg.codec.trellis import decide_blocks
from softjpeg.jpeg.entropy.huffman import code_lengths, optimal_table
from softjpeg.jpeg.entropy.layout import sampling_factors, scan_layout
from softjpeg.jpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.jpeg.entropy.symbols import component_counts
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.preset import Preset

_ROUNDS = 2

QuantizePlane = Callable[[int, Tensor], Tensor]
"""From a component's number and its values to indices."""


def rdo_indices(
    coefficients: Sequence[Tensor], preset: Preset, *, size: tuple[int, int]
) -> list[Tensor]:
    """The indices of one image.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (rows, columns, 8, 8), pixel scale.
        preset: tables, subsampling and `distortion`.
        size: (height, width) of the image in pixels.

    Returns:
        int16 of the shapes of the coefficients.

    Raises:
        ValueError: the preset has no `distortion`.
    """
    model = preset.distortion
    if model is None:
        raise ValueError('the preset has no distortion, which mode "rdo" needs')
    if preset.subsampling != "4:4:4":
        model = replace(model, correlation=np.zeros_like(model.correlation))
    coefficients = [z.cpu() for z in coefficients]
    steps = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]

    corrections = _corrections(model) if len(coefficients) == 3 else None

    def quantize_all(quantize: QuantizePlane) -> list[Tensor]:
        return compensated(coefficients, steps, corrections, quantize)

    if model.rate_weight == 0:
        return quantize_all(rounded(steps))
    return trellis_rounds(
        quantize_all,
        steps,
        [torch.from_numpy(s) for s in model.conditional()],
        model.rate_weight,
        size=size,
        subsampling=preset.subsampling,
        block_weights=_block_weights(coefficients, model),
    )


def trellis_rounds(
    quantize_all: Callable[[QuantizePlane], list[Tensor]],
    steps: Sequence[Tensor],
    weights: Sequence[Tensor],
    rate_weight: float,
    *,
    size: tuple[int, int],
    subsampling: Subsampling,
    block_weights: Sequence[Tensor | None] = (None, None, None),
) -> list[Tensor]:
    """Huffman codes of plain rounding, the trellis's indices under them, and both once more.

    Args:
        quantize_all: all components to their indices, by a function that quantizes one.
        steps: (8, 8) of each component.
        weights: (8, 8) or (..., 8, 8) of each component, w ≥ 0 of the squared error.
        rate_weight: λ ≥ 0, of a bit.
        size: (height, width) of the image in pixels.
        subsampling: of the components.
        block_weights: (...,) of each component's blocks, ≥ 0, that its weights are multiplied by.

    Returns:
        int16 indices of each component.
    """
    indices = quantize_all(rounded(steps))
    for _ in range(_ROUNDS):
        lengths = _ac_code_lengths(indices, size, subsampling)

        def decide(component: int, z: Tensor, lengths: Sequence[Tensor] = lengths) -> Tensor:
            weight, factors = weights[component], block_weights[component]
            return decide_blocks(
                z.reshape(-1, 8, 8),
                steps[component],
                weight.reshape(-1, 8, 8),
                rate_weight,
                lengths[min(component, 1)],
                block_weights=None if factors is None else factors.reshape(-1),
            ).reshape(z.shape)

        indices = quantize_all(decide)
    return indices


def rounded(steps: Sequence[Tensor]) -> QuantizePlane:
    """Plain rounding to multiples of each component's steps, as far as baseline JPEG can hold."""

    def quantize(component: int, z: Tensor) -> Tensor:
        indices = torch.round(z / steps[component])
        # A value that makes up for errors may lie beyond what an image has.
        dc = indices[..., 0, 0].clamp(MIN_DC, MAX_DC)
        indices = indices.clamp_(-MAX_AC, MAX_AC).short()
        indices[..., 0, 0] = dc
        return indices

    return quantize


def compensated(
    coefficients: Sequence[Tensor],
    steps: Sequence[Tensor],
    corrections: Sequence[Tensor] | None,
    quantize: QuantizePlane,
) -> list[Tensor]:
    """Quantize Cb, Cr and Y in this order, each making up for the errors before it.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (..., 8, 8).
        steps: (8, 8) of each component.
        corrections: of `DistortionModel.corrections`; None where nothing makes up for anything.
        quantize: decides the indices of a component.

    Returns:
        Indices of each component.
    """
    if corrections is None:
        return [quantize(c, z) for c, z in enumerate(coefficients)]
    y, cb, cr = coefficients
    cr_for_cb, y_for_cb, y_for_cr = corrections
    cb_indices = quantize(1, cb)
    cb_error = cb - cb_indices * steps[1]
    cr_indices = quantize(2, cr + cr_for_cb * cb_error)
    cr_error = cr - cr_indices * steps[2]
    return [quantize(0, y + y_for_cb * cb_error + y_for_cr * cr_error), cb_indices, cr_indices]


def _corrections(model: DistortionModel) -> list[Tensor] | None:
    if not model.correlation.any():
        return None
    return [torch.from_numpy(c).float() for c in model.corrections()]


def _block_weights(coefficients: Sequence[Tensor], model: DistortionModel) -> list[Tensor]:
    """½ w_b of every block; a chroma block counts as the luma around it."""
    luma = 0.5 * torch.from_numpy(model.block_weights(coefficients[0].double().numpy()))
    shapes = [(z.shape[0], z.shape[1]) for z in coefficients]
    return [adaptive_avg_pool2d(luma[None, None], shape)[0, 0] for shape in shapes]


def _ac_code_lengths(
    indices: Sequence[Tensor], size: tuple[int, int], subsampling: Subsampling
) -> tuple[Tensor, Tensor]:
    """Lengths of the optimal AC codes of luma and of chroma for one image, (256,) each."""
    planes = [i.numpy().reshape(1, *i.shape[:2], 64) for i in indices]
    layout = scan_layout(size, sampling_factors(subsampling, len(indices)))
    counts = component_counts(planes, layout)[0, :, 1]
    groups = counts[0], counts[1:].sum(0)
    luma, chroma = (torch.from_numpy(code_lengths(optimal_table(group))) for group in groups)
    return luma, chroma
