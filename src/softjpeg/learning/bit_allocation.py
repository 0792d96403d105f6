"""Bit allocation: the tables that minimize ``½ s_m·D_m(q) + λ·R_m(q)`` at every frequency m.

D_m and R_m are the squared error and the entropy that a step q leaves at frequency m, measured on
real coefficients at about 80 steps from 1 to 255; s_m is the network's sensitivity. The search over
those steps is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from softjpeg.functional.rate.entropy import predict_dc

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
        return cls.measure_groups([coefficients], blocks)

    @classmethod
    def measure_groups(cls, groups: Iterable[Sequence[Tensor]], blocks: int) -> RateDistortion:
        """The same on groups of images, of which only the blocks used are kept.

        Args:
            groups: the coefficients of each, of images of one size; sizes may differ from group to
                group, and what is measured is then that of the mean image.
            blocks: at most so many blocks of a component of each group.
        """
        used = [[_blocks(z, blocks) for z in group] for group in groups]
        distortion, rate = [], []
        for component in zip(*used, strict=True):
            plain, predicted = (torch.cat([part[i] for part in component]) for i in (0, 1))
            count = sum(n * blocks for _, _, n, blocks in component) / sum(
                n for _, _, n, _ in component
            )
            pairs = [_one_step(plain, predicted, float(q)) for q in STEPS]
            distortion.append(torch.stack([d for d, _ in pairs]) * count)
            rate.append(torch.stack([r for _, r in pairs]) * count)
        return cls(torch.stack(distortion), torch.stack(rate))

    def weighted(self, rate: Tensor) -> RateDistortion:
        """The same with the rate of every component and frequency times `rate` (3, 8, 8)."""
        return RateDistortion(self.distortion, self.rate * rate.reshape(3, 1, 64))


def allocate(
    curves: RateDistortion, sensitivity: Tensor, rate_weight: float
) -> tuple[Tensor, Tensor]:
    """The (luma, chroma) tables of least ``½ Σ s·D + λ·R``.

    Args:
        curves: distortion and rate of the images.
        sensitivity: (3, 8, 8), as `softjpeg.learning.sensitivity.sensitivity` gives it.
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
    luma, chroma = _largest_argmin(cost[0]), _largest_argmin(cost[1] + cost[2])
    return STEPS[luma].reshape(8, 8), STEPS[chroma].reshape(8, 8)


def _largest_argmin(cost: Tensor) -> Tensor:
    """Where steps are equally good, the largest: a frequency that was always zero stays so."""
    near = cost <= cost.amin(0) * (1 + 1e-4)
    return (near * torch.arange(1, len(cost) + 1)[:, None]).argmax(0)


def implied_sensitivity(curves: RateDistortion, tables: tuple[Tensor, Tensor]) -> Tensor:
    """The sensitivity for which tables are the allocation, at λ = 1.

    ``s_m = -2·R'_m(q)/D'_m(q)``, from differences over about 30 % each way. Cb and Cr get one
    value, as they share a table.

    Args:
        curves: distortion and rate of the images.
        tables: (luma, chroma), each (8, 8) integers 1..255.

    Returns:
        (3, 8, 8) > 0; NaN where the step is so large that nothing is left to code.
    """
    luma, chroma = (t.reshape(1, 64).float() for t in tables)
    steps = torch.stack([luma, chroma, chroma])
    last = len(STEPS) - 1
    low, high = (
        torch.searchsorted(STEPS, (steps * factor).round().long()).clamp(max=last)
        for factor in (1 / 1.3, 1.3)
    )
    error, bits = (
        (curve.gather(1, high) - curve.gather(1, low))[:, 0]
        for curve in (curves.distortion, curves.rate)
    )
    # Cb and Cr share a table: their differences add.
    error = torch.stack([error[0], *[error[1] + error[2]] * 2])
    bits = torch.stack([bits[0], *[bits[1] + bits[2]] * 2])
    known = (error > 1e-3) & (bits < 0)
    nothing = torch.full_like(error, torch.nan)
    return torch.where(known, -2 * bits / error, nothing).reshape(3, 8, 8)


def _blocks(z: Tensor, blocks: int) -> tuple[Tensor, Tensor, int, int]:
    """Evenly spread blocks (n, 64), the same with predicted DC, images, and blocks of one."""
    plain, predicted = (x.reshape(-1, 64) for x in (z, predict_dc(z)))
    stride = -(-len(plain) // blocks)
    # Copies, so that the others can be forgotten.
    return plain[::stride].clone(), predicted[::stride].clone(), len(z), z.shape[1] * z.shape[2]


def _one_step(plain: Tensor, predicted: Tensor, q: float) -> tuple[Tensor, Tensor]:
    distortion = ((plain - q * torch.round(plain / q)) ** 2).mean(0)
    index = torch.round(predicted / q).long().clamp(-_INDEX_LIMIT, _INDEX_LIMIT)
    low = int(index.min())
    span = int(index.max()) - low + 1
    bins = (index - low) + torch.arange(64) * span
    p = torch.bincount(bins.flatten(), minlength=64 * span).reshape(64, span).float() / len(plain)
    return distortion, torch.special.entr(p).sum(1) / torch.log(torch.tensor(2.0))
