"""J4D's encoder: quantized indices drawn from the CPMF (arXiv 2606.16185)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from softjpeg.cpmf import sample_index
from softjpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.preset import Preset


def sample_indices(
    coefficients: Sequence[Tensor], preset: Preset, seed: int | None = None
) -> list[Tensor]:
    """Draw the index of every coefficient, within what baseline JPEG can hold.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (rows, columns, 8, 8) float, 0..255 pixel scale.
        preset: tables and hardness.
        seed: the same seed draws the same indices; None fresh ones each time.

    Returns:
        Per component int32 of the same shape.

    >>> preset = Preset.from_quality(50)
    >>> sample_indices([torch.full((1, 1, 8, 8), 4.0 * 16)], preset, seed=0)[0][0, 0, 0, 0].item()
    4
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    indices = []
    for component, z in enumerate(coefficients):
        q = torch.from_numpy(preset.chroma if component else preset.luma).float()
        alpha = torch.from_numpy(preset.hardness[min(component, 1)]).float() / q**2
        drawn = sample_index(z, q, alpha, generator=generator).flatten(-2)
        ac, dc = drawn[..., 1:].clamp(-MAX_AC, MAX_AC), drawn[..., :1].clamp(MIN_DC, MAX_DC)
        indices.append(torch.cat([dc, ac], -1).reshape(z.shape).to(torch.int32))
    return indices
