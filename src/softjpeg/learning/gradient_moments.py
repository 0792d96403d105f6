"""How a `DistortionModel` is learned: moments of a network's gradient, over frequency and place.

With ``g = ∂loss/∂z`` at the images as given tables leave them, ``H_m = E g_m g_mᵀ`` over images and
blocks. A block's weight is the mean of ``Σ_m q_m² g_m²``, what one step of error in it costs, over
its place in the image and over the contrast of the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.presets.distortion_model import PAIRS, DistortionModel

CELLS = 8
"""Rows and columns of the grid over the image, at most."""
_BINS = 10
_LEVELS = 25
"""Bins of log2 energy to count in: AC luma has less than 2^25."""


@dataclass(frozen=True)
class GradientMoments:
    """Sums over the images of one batch or more, float64.

    Attributes:
        products: (6, 8, 8): of the squares of Y, Cb, Cr and of the `PAIRS`, mean over blocks.
        place: (rows, columns) of the grid: cost of one step of luma error, mean over a cell.
        contrast: (2, 25): cost and number of luma blocks by log2 energy.
        images: how many.
    """

    products: Tensor
    place: Tensor
    contrast: Tensor
    images: int

    def __add__(self, other: GradientMoments) -> GradientMoments:
        return GradientMoments(
            self.products + other.products,
            torch.add(*_on_grids(self.place, other.place)),
            self.contrast + other.contrast,
            self.images + other.images,
        )

    def weighted(self, weight: float) -> GradientMoments:
        """Of a network whose loss counts `weight`, its gradients' squares likewise."""
        place, contrast = self.place * weight, self.contrast.clone()
        contrast[0] *= weight
        return GradientMoments(self.products * weight, place, contrast, self.images)


def _on_grids(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two grids over images, of as many cells as the finer one: images may be of several sizes."""
    rows, columns = map(max, first.shape, second.shape)
    if first.shape == second.shape:
        return first, second
    fine = (F.adaptive_avg_pool2d(grid[None], (rows, columns))[0] for grid in (first, second))
    return next(fine), next(fine)


def gradient_moments(
    coefficients: Sequence[Tensor], gradients: Sequence[Tensor], luma: Tensor
) -> GradientMoments:
    """The sums of one batch.

    Args:
        coefficients: (Y, Cb, Cr), each (B, rows, columns, 8, 8).
        gradients: of the loss summed over the batch, of the same shapes.
        luma: (8, 8) luma steps.

    >>> z = [torch.zeros(1, 2, 2, 8, 8)] * 3
    >>> gradient_moments(z, z, torch.ones(8, 8)).contrast[1].sum().item()
    4.0
    """
    g = [x.double().cpu() for x in gradients]
    squares = [x.square().mean((1, 2)).sum(0) for x in g]
    same_size = g[0].shape == g[1].shape
    pairs = [
        (g[a] * g[b]).mean((1, 2)).sum(0) if same_size else torch.zeros(8, 8, dtype=torch.float64)
        for a, b in PAIRS
    ]
    cost = (g[0] * luma.double().cpu()).square().sum((-1, -2))
    rows, columns = (min(CELLS, n) for n in cost.shape[1:])
    place = F.adaptive_avg_pool2d(cost[:, None], (rows, columns))[:, 0].sum(0)
    energy = coefficients[0].double().cpu().flatten(3)[..., 1:].square().sum(-1)
    level = energy.clamp_min(1).log2().long().clamp(max=_LEVELS - 1).flatten()
    contrast = torch.zeros(2, _LEVELS, dtype=torch.float64)
    contrast[0].index_add_(0, level, cost.flatten())
    contrast[1].index_add_(0, level, torch.ones_like(cost).flatten())
    return GradientMoments(torch.stack([*squares, *pairs]), place, contrast, len(g[0]))


def distortion_from(
    moments: GradientMoments, sensitivity: Tensor | None, rate_weight: float
) -> DistortionModel:
    """The model that moments tell.

    Args:
        moments: of all images.
        sensitivity: (3, 8, 8) to use instead of the moments' own, where it is known better.
        rate_weight: λ in loss per bit.

    >>> z = [torch.randn(4, 2, 2, 8, 8) for _ in range(3)]
    >>> model = distortion_from(gradient_moments(z, z, torch.ones(8, 8)), None, 0.1)
    >>> round(float(model.position.mean()), 3)
    1.0
    """
    mean_square = (moments.products[:3] / moments.images).clamp_min(1e-20)
    deviation = mean_square.sqrt()
    correlation = torch.stack(
        [
            moments.products[3 + i] / moments.images / (deviation[a] * deviation[b])
            for i, (a, b) in enumerate(PAIRS)
        ]
    )
    place = _smoothed(moments.place, moments.images).clamp_min(1e-30)
    place = (place / place.mean()).clamp(0.1, 10)
    return DistortionModel(
        (mean_square if sensitivity is None else sensitivity.double()).numpy(),
        correlation.clamp(-1, 1).numpy(),
        (place / place.mean()).numpy(),
        _masking(moments.contrast).numpy(),
        rate_weight,
    )


def _smoothed(grid: Tensor, images: int) -> Tensor:
    """Each cell with some of its neighbours: few images say little of one cell."""
    share = 1 / (2 + images / 100)
    kernel = torch.tensor([share, 1.0, share], dtype=grid.dtype) / (1 + 2 * share)
    padded = F.pad(grid[None, None], (1, 1, 1, 1), mode="replicate")
    smooth: Tensor = F.conv2d(padded, torch.outer(kernel, kernel)[None, None])[0, 0]
    return smooth


def _masking(contrast: Tensor) -> Tensor:
    """Knots (2, n) of weight over log2 energy, mean 1 over blocks; levels joined to equal bins."""
    cost, count = contrast
    enough = count.sum() / _BINS
    overall = (cost.sum() / count.sum()).clamp_min(1e-30)
    knots = []
    start = 0
    for level in range(len(count)):
        blocks = count[start : level + 1].sum()
        last = level == len(count) - 1
        if blocks < enough and not (last and blocks > 0):
            continue
        inside = slice(start, level + 1)
        centre = float((count[inside] * torch.arange(start, level + 1)).sum() / blocks) + 0.5
        knots.append((centre, float((cost[inside].sum() / blocks / overall).clamp(0.05, 20))))
        start = level + 1
    return torch.tensor(knots, dtype=torch.float64).T
