"""Confidence intervals: what other images of the same kind would have shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softjpeg.evaluation.points import RatePoint

FIELDS = ("bpp", "scan_bpp", "top1", "agreement", "kl", "cosine", "ssim")
_PER_IMAGE = {
    "bpp": "bytes",
    "scan_bpp": "scan_bytes",
    "top1": "correct",
    "agreement": "agree",
    "kl": "kl",
    "cosine": "cosine",
    "ssim": "ssim",
}


@dataclass(frozen=True)
class Estimate:
    """A figure, and between what bounds it would lie on 95 % of such sets of images.

    Attributes:
        value: on the images themselves.
        low, high: the 2.5 and 97.5 percentiles over resamples; NaN where there are none.
    """

    value: float
    low: float
    high: float


def resample_means(
    points: Sequence[RatePoint], resamples: int = 1000, seed: int = 0
) -> dict[str, npt.NDArray[np.float64]]:
    """The points' figures on images drawn with replacement, the same images for every point.

    Args:
        points: with their per-image arrays, all of the same images; those without any show NaN on
            resamples.
        resamples: how many sets of images are drawn.
        seed: of the draws.

    Returns:
        field of `FIELDS` → (1 + resamples, points): the images themselves, then the resamples.

    Raises:
        ValueError: points of different numbers of images, or a negative number of resamples.

    >>> p = RatePoint("a", "hard", "4:2:0", 100, 1.0, 0.9, None, 0.5, 0.4)
    >>> resample_means([p], 2)["kl"].tolist()
    [[0.4], [nan], [nan]]
    """
    if resamples < 0:
        raise ValueError(f"resamples must be at least 0, got {resamples}")
    counts = {len(p.images.bytes) for p in points if p.images is not None}
    if len(counts) > 1:
        raise ValueError(f"points must be of the same images, got {sorted(counts)} of them")
    n = next(iter(counts), 1)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples) / n
    means = {}
    for field in FIELDS:
        measured = [_number(getattr(p, field)) for p in points]
        columns = [_means(weights, _each(p, field, n)) for p in points]
        drawn = np.stack(columns, -1) if columns else np.empty((resamples, 0))
        means[field] = np.concatenate([np.reshape(measured, (1, len(points))), drawn])
    return means


def estimate(values: npt.NDArray[np.float64]) -> Estimate:
    """The figure and its 95 % interval from (1 + resamples,), as `resample_means` orders them.

    Resamples on which a figure does not exist (NaN) are left out.

    >>> estimate(np.array([5.0, *range(101)]))
    Estimate(value=5.0, low=2.5, high=97.5)
    """
    drawn = values[1:][~np.isnan(values[1:])]
    if not len(drawn) or math.isnan(values[0]):
        return Estimate(float(values[0]), math.nan, math.nan)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high))


def point_intervals(
    points: Sequence[RatePoint], means: Mapping[str, npt.NDArray[np.float64]]
) -> list[dict[str, Estimate]]:
    """Every point's figures with their intervals, from `resample_means` of the same points."""
    return [
        {field: estimate(values[:, i]) for field, values in means.items()}
        for i in range(len(points))
    ]


def _means(
    weights: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """(resamples,): images without the figure are left out; NaN where all of a resample are."""
    known = ~np.isnan(values)
    if known.all():
        return np.asarray(weights @ values)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights[:, known] @ values[known]) / weights[:, known].sum(-1))


def _each(point: RatePoint, field: str, n: int) -> npt.NDArray[np.float64]:
    values = None if point.images is None else getattr(point.images, _PER_IMAGE[field])
    if values is None:
        return np.full(n, np.nan)
    bits = point.bpp / point.bytes_per_file if field in ("bpp", "scan_bpp") else 1.0
    return np.asarray(values * bits)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
