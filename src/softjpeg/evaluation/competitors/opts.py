"""OptS: tables of least sensitivity-weighted error at a rate (Zheng et al. 2023; ours, after it).

Every coefficient is a Laplacian source of deviation σ_m whose error counts s_m times. By Shannon's
lower bound the rate is least where ``s_m·D_m`` is the same d at every frequency m (reverse water
filling), and nothing is coded where ``s_m·σ_m² ≤ d``. The step q_m is then the one at which a
Laplacian source has that error:

    D(q) = σ²·(1 - x/sinh x),   x = q/(√2·σ)
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.competitors.deepn_jpeg import deviations
from softjpeg.evaluation.competitors.scaling import at_bpp
from softjpeg.evaluation.competitors.soft_decisions import encode_soft
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.learning.sensitivity import sensitivity
from softjpeg.presets.preset import Preset

_STEPS = torch.arange(1, 256, dtype=torch.float64)


def opts(context: Context, soft_decisions: bool = False) -> dict[str, Encoder]:
    """Tables for each of the target rates.

    The sensitivity is the mean squared gradient of the network's loss on the uncompressed images:
    cross-entropy where there are labels, else the Fisher information.

    Args:
        context: its network, images, labels, subsampling, targets_bpp and seed are used.
        soft_decisions: decide coefficients by a trellis for the same error (SDQ). The rate is then
            below the target, which the tables reach with plain rounding.

    Raises:
        ValueError: the network does not react to the images.
    """
    assert context.images is not None
    assert context.model is not None
    generator = torch.Generator().manual_seed(context.seed)
    weights = sensitivity(
        context.model,
        context.images,
        None,
        context.subsampling,
        loss=None if context.labels is None else partial(F.cross_entropy, reduction="sum"),
        targets=context.labels,
        generator=generator,
        progress=context.progress,
    )
    sigma = deviations(context.images, context.subsampling)

    def at(level: float) -> Preset:
        luma, chroma = water_filled_tables(sigma, weights, level)
        return Preset(luma.numpy(), chroma.numpy(), subsampling=context.subsampling)

    energy = weights * sigma**2
    if not energy.max() > 0:
        raise ValueError("the network's gradient on the learning images is zero or not finite")
    low, high = float(energy[energy > 0].min()) * 1e-6, float(energy.max())
    encoders: dict[str, Encoder] = {}
    for target in context.targets_bpp:
        level = at_bpp(at, context.images, target, low, high)
        if soft_decisions:
            # d(s·D)/dR of the Shannon lower bound R = ½ log₂(σ²/D), in error per bit.
            slope = 2 * math.log(2) * level
            encoders[f"{target} bpp"] = partial(
                encode_soft, preset=at(level), weights=weights, rate_weight=slope
            )
        else:
            encoders[f"{target} bpp"] = preset_encoder(at(level))
    return encoders


def water_filled_tables(sigma: Tensor, weights: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """The largest steps whose weighted Laplacian error ``s·D(q)`` is no more than a level d.

    Args:
        sigma: (3, 8, 8) deviations of Y, Cb, Cr, pixel scale.
        weights: (3, 8, 8) s ≥ 0.
        level: d > 0.

    Returns:
        (luma, chroma), each (8, 8) int64 1..255; Cb and Cr share theirs, by their mean.

    >>> one = torch.ones(3, 8, 8)
    >>> luma, chroma = water_filled_tables(50 * one, one, 100 / 12)
    >>> int(luma[0, 0])  # D ≈ q²/12 where steps are small
    10
    """
    error = weights[..., None].double() * laplacian_error(_STEPS, sigma[..., None].double())
    steps = [(e <= level * (1 + 1e-9)).sum(-1).clamp_min(1) for e in (error[0], error[1:].mean(0))]
    return steps[0], steps[1]


def laplacian_error(q: Tensor, sigma: Tensor) -> Tensor:
    """Mean squared error of rounding a Laplacian source to multiples of q: ``σ²(1 - x/sinh x)``.

    Args:
        q: steps > 0.
        sigma: deviations ≥ 0, broadcastable to q.

    >>> laplacian_error(torch.tensor(1.0), torch.tensor(1000.0)).item() > 0
    True
    """
    # Where x/sinh x has vanished or is lost in rounding, its limit and its series.
    x = (q / (math.sqrt(2) * sigma).clamp_min(1e-30)).clamp_max(300)
    series = x**2 / 6 - 7 * x**4 / 360
    return sigma**2 * torch.where(x < 0.02, series, 1 - x / torch.sinh(x.clamp(max=80)))
