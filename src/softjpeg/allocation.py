"""Bit allocation: the tables that minimize ``½ s_m·D_m(q) + λ·R_m(q)`` at every frequency m.

D_m and R_m are the squared error and the entropy that a step q leaves at frequency m, measured on
real coefficients at about 80 steps from 1 to 255; s_m is the network's sensitivity. The search over
those steps is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from softjpeg.rate import predict_dc

STEPS = torch.unique(torch.logspace(0, math.log2(255), 120, base=2).round().long())
"""Candidate steps: every integer where they are few, about 5 % apart above."""
_INDEX_LIMIT = 2100


@dataclass(frozen=True)
class RateDistortion:
    """What every candidate step costs and spoils, per image, component and frequency.

    Attributes:
        distortion: (3, steps, 64) squared error, summed over an image's blocks (pixel levels²).
        rate: (3, steps, 64) bits of an image, by entropy; DC as JPEG predicts it.
    """

    distortion: Tensor
    rate: Tensor

    @classmethod
    def measure(cls, coefficients: Sequence[Tensor], blocks: int = 10_000) -> RateDistortion:
        """Measure on (Y, Cb, Cr), each (B, rows, columns, 8, 8), pixel scale.

        Args:
            coefficients: of real images.
            blocks: at most so many blocks of a component are used, evenly spread.
        """
        distortion, rate = [], []
        for z in coefficients:
            count = z.shape[1] * z.shape[2]
            plain, predicted = (x.reshape(-1, 64) for x in (z, predict_dc(z)))
            stride = -(-len(plain) // blocks)
            plain, predicted = plain[::stride], predicted[::stride]
            pairs = [_one_step(plain, predicted, float(q)) for q in STEPS]
            distortion.append(torch.stack([d for d, _ in pairs]) * count)
            rate.append(torch.stack([r for _, r in pairs]) * count)
        return cls(torch.stack(distortion), torch.stack(rate))

    def bits(self, tables: tuple[Tensor, Tensor]) -> float:
        """Estimated bits per image with (luma, chroma) tables of candidate steps."""
        return float(self._at(self.rate, tables).sum())

    def error(self, tables: tuple[Tensor, Tensor], sensitivity: Tensor) -> float:
        """``½ Σ_m s_m·D_m``: the loss per image that such tables are expected to cost."""
        return float((0.5 * sensitivity.reshape(3, 64) * self._at(self.distortion, tables)).sum())

    def _at(self, curves: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
        luma, chroma = (torch.searchsorted(STEPS, t.reshape(1, 64).long()) for t in tables)
        rows = torch.stack([luma, chroma, chroma])
        return curves.gather(1, rows)[:, 0]


def allocate(
    curves: RateDistortion, sensitivity: Tensor, rate_weight: float
) -> tuple[Tensor, Tensor]:
    """The (luma, chroma) tables of least ``½ Σ s·D + λ·R``.

    Args:
        curves: distortion and rate of the images.
        sensitivity: (3, 8, 8), as `softjpeg.sensitivity.sensitivity` gives it.
        rate_weight: λ in loss per bit of one image.

    Returns:
        Two (8, 8) integer tensors 1..255; Cb and Cr share the second.

    >>> z = torch.randn(3, 4, 2, 2, 8, 8) * 20
    >>> luma, chroma = allocate(RateDistortion.measure(tuple(z)), torch.ones(3, 8, 8), 1e-9)
    >>> int(luma.max())
    1
    """
    weight = 0.5 * sensitivity.reshape(3, 1, 64).clamp_min(1e-20)
    cost = weight * curves.distortion + rate_weight * curves.rate
    luma, chroma = cost[0].argmin(0), (cost[1] + cost[2]).argmin(0)
    return STEPS[luma].reshape(8, 8), STEPS[chroma].reshape(8, 8)


def _one_step(plain: Tensor, predicted: Tensor, q: float) -> tuple[Tensor, Tensor]:
    distortion = ((plain - q * torch.round(plain / q)) ** 2).mean(0)
    index = torch.round(predicted / q).long().clamp(-_INDEX_LIMIT, _INDEX_LIMIT)
    low = int(index.min())
    span = int(index.max()) - low + 1
    bins = (index - low) + torch.arange(64) * span
    p = torch.bincount(bins.flatten(), minlength=64 * span).reshape(64, span).float() / len(plain)
    return distortion, torch.special.entr(p).sum(1) / torch.log(torch.tensor(2.0))
