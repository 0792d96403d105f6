"""Coefficient decisions for mode "rdo": least ``d(e) + λ·bits`` for the network, not for the eye.

Cb is decided first, then Cr, then Y; each takes the value that best makes up for the errors before
it (`Distortion.corrections`), and the trellis decides its indices with the weights of its blocks.
Huffman codes and indices are found in turn: the codes of plain rounding first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from softjpeg.distortion import Distortion
from softjpeg.entropy.huffman import code_lengths, optimal_table
from softjpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC, check_coefficients
from softjpeg.entropy.scan import scan_blocks, scan_symbols, symbol_counts
from softjpeg.preset import Preset
from softjpeg.trellis import decide_blocks

_ROUNDS = 2

Quantize = Callable[[int, Tensor], Tensor]
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
        Integers of the shapes of the coefficients.

    Raises:
        ValueError: the preset has no `distortion`.
    """
    model = preset.distortion
    if model is None:
        raise ValueError('the preset has no distortion, which mode "rdo" needs')
    if preset.subsampling != "4:4:4" or len(coefficients) == 1:
        model = replace(model, correlation=np.zeros_like(model.correlation))
    coefficients = [z.cpu() for z in coefficients]
    steps = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]

    def arranged(quantize: Quantize) -> list[Tensor]:
        return compensated(coefficients, steps, model, quantize)

    if model.rate_weight == 0:
        return arranged(rounded(steps))
    weights = _weights(coefficients, model)
    return in_turn(
        arranged, steps, weights, model.rate_weight, size=size, subsampling=preset.subsampling
    )


def in_turn(
    arranged: Callable[[Quantize], list[Tensor]],
    steps: Sequence[Tensor],
    weights: Sequence[Tensor],
    rate_weight: float,
    *,
    size: tuple[int, int],
    subsampling: str,
) -> list[Tensor]:
    """Huffman codes of plain rounding, the best indices under them, and both once more.

    Args:
        arranged: quantizes all components, with a function for one.
        steps: (8, 8) of each component.
        weights: (8, 8) or (..., 8, 8) of each component, w ≥ 0 of the squared error.
        rate_weight: λ ≥ 0, of a bit.
        size: (height, width) of the image in pixels.
        subsampling: of the components.
    """
    indices = arranged(rounded(steps))
    for _ in range(_ROUNDS):
        lengths = ac_code_lengths(indices, size, subsampling)

        def decide(component: int, z: Tensor, lengths: Sequence[Tensor] = lengths) -> Tensor:
            flat, weight = z.reshape(-1, 8, 8), weights[component].reshape(-1, 8, 8)
            code = lengths[min(component, 1)]
            decided = decide_blocks(flat, steps[component], weight, rate_weight, code)
            return decided.reshape(z.shape)

        indices = arranged(decide)
    return indices


def rounded(steps: Sequence[Tensor]) -> Quantize:
    """Plain rounding to multiples of each component's steps."""
    return lambda component, z: torch.round(z / steps[component]).long()


def compensated(
    coefficients: Sequence[Tensor], steps: Sequence[Tensor], model: Distortion, quantize: Quantize
) -> list[Tensor]:
    """Quantize Cb, Cr and Y in this order, each making up for the errors before it.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (..., 8, 8).
        steps: (8, 8) of each component.
        model: says what makes up for what.
        quantize: decides the indices of a component.

    Returns:
        Indices of each component.
    """
    if len(coefficients) == 1 or not model.correlation.any():
        return [quantize(c, z) for c, z in enumerate(coefficients)]
    y, cb, cr = coefficients

    def limited(component: int, z: Tensor) -> Tensor:
        # A value that makes up for errors may lie beyond what an image has.
        indices = quantize(component, z).flatten(-2)
        dc, ac = indices[..., :1].clamp(MIN_DC, MAX_DC), indices[..., 1:].clamp(-MAX_AC, MAX_AC)
        return torch.cat([dc, ac], -1).reshape(z.shape)

    cr_for_cb, y_for_cb, y_for_cr = (torch.from_numpy(c).to(y) for c in model.corrections())
    cb_indices = limited(1, cb)
    cb_error = cb - cb_indices * steps[1]
    cr_indices = limited(2, cr + cr_for_cb * cb_error)
    cr_error = cr - cr_indices * steps[2]
    return [limited(0, y + y_for_cb * cb_error + y_for_cr * cr_error), cb_indices, cr_indices]


def _weights(coefficients: Sequence[Tensor], model: Distortion) -> list[Tensor]:
    """½ w_b s_m of every block and frequency; a chroma block counts as the luma around it."""
    luma = torch.from_numpy(model.block_weights(coefficients[0].double().numpy()))
    sensitivity = torch.from_numpy(model.conditional())
    weights = []
    for z, s in zip(coefficients, sensitivity, strict=False):
        shape = (z.shape[0], z.shape[1])
        near = adaptive_avg_pool2d(luma[None, None], shape)[0, 0]
        weights.append(0.5 * near[..., None, None] * s)
    return weights


def ac_code_lengths(
    indices: Sequence[Tensor], size: tuple[int, int], subsampling: str
) -> tuple[Tensor, Tensor]:
    """Lengths of the optimal AC codes of luma and of chroma for one image, (256,) each."""
    blocks = [i.to(torch.int32).numpy()[None] for i in indices]
    planes, layout = check_coefficients(blocks, size=size, subsampling=subsampling, batched=True)
    counts = symbol_counts(scan_symbols(scan_blocks(planes, layout), layout))[0]
    luma, chroma = (torch.from_numpy(code_lengths(optimal_table(counts[i]))) for i in (1, 3))
    return luma, chroma
