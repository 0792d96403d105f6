"""Bjøntegaard's mean differences of two rate-quality curves, and the largest ones.

Every function takes curves as arrays (..., M), one or many at once (resamples), goes through their
Pareto fronts, interpolates the logarithm of the rate by PCHIP and never extrapolates. Quality is
higher-is-better; for a KL divergence take its negative logarithm (`as_quality`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softjpeg.evaluation.interpolation import interpolate, mean_between
from softjpeg.evaluation.pareto import Array, pareto_front


@dataclass(frozen=True)
class Curve:
    """Pareto fronts, with NaN at their ends: strictly rising, natural logarithms of the rate.

    Attributes:
        log_rate: (..., M).
        quality: (..., M).
    """

    log_rate: Array
    quality: Array


def front(rate: npt.ArrayLike, quality: npt.ArrayLike) -> Curve:
    """The front of points of positive rate (..., M), any order."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return Curve(*pareto_front(np.log(np.asarray(rate, float)), quality))


def as_quality(values: npt.ArrayLike, field: str) -> Array:
    """A measure as a quality: -log of a "kl" and of what "ssim" lacks to 1, others as is.

    What is exact becomes infinite and is left out.

    >>> as_quality([0.5, 1.0], "kl").round(3) + 0.0
    array([0.693, 0.   ])
    """
    quality = np.asarray(values, float)
    if field in ("kl", "ssim"):
        with np.errstate(divide="ignore", invalid="ignore"):
            quality = np.negative(np.log(quality if field == "kl" else 1 - quality))
    return quality


def bd_rate(curve: Curve, reference: Curve) -> Array:
    """Bytes more (positive) or fewer (negative) than the reference at equal quality, as a share.

    BD-rate = exp(mean over the common qualities of log R(quality) - log R_ref(quality)) - 1.

    Returns:
        (...); NaN where the curves have no range of quality in common.

    >>> reference = front([1.0, 2.0, 4.0], [0.5, 0.6, 0.7])
    >>> half = front([0.5, 1.0, 2.0], [0.5, 0.6, 0.7])
    >>> round(float(bd_rate(half, reference)), 6)
    -0.5
    """
    low, high = _common(curve.quality, reference.quality)
    means = [mean_between(c.quality, c.log_rate, low, high) for c in (curve, reference)]
    return np.expm1(means[0] - means[1])


def bd_quality(curve: Curve, reference: Curve) -> Array:
    """Mean quality above the reference's at equal rate, over the common logarithms of rates.

    Returns:
        (...), in units of quality; NaN where the curves have no range of rates in common.

    >>> better = front([1.0, 2.0, 4.0], [0.6, 0.7, 0.8])
    >>> round(float(bd_quality(better, front([1.0, 2.0, 4.0], [0.5, 0.6, 0.7]))), 6)
    0.1
    """
    low, high = _common(curve.log_rate, reference.log_rate)
    means = [mean_between(c.log_rate, c.quality, low, high) for c in (curve, reference)]
    return means[0] - means[1]


def best_gain(curve: Curve, reference: Curve) -> tuple[Array, Array]:
    """The largest quality above the reference's at equal rate, and that rate.

    Looked for where one of the two was measured; the other is interpolated.

    Returns:
        (gain, rate), each (...); negative where the curve is nowhere better, NaN without a common
        rate.

    >>> gain, rate = best_gain(front([1.0, 4.0], [0.6, 0.8]), front([1.0, 4.0], [0.5, 0.75]))
    >>> round(float(gain), 6), float(rate)
    (0.1, 1.0)
    """
    gains, where = _differences(
        (curve.log_rate, curve.quality), (reference.log_rate, reference.quality)
    )
    gain, rate = _largest(gains, where)
    return gain, np.exp(rate)


def best_saving(curve: Curve, reference: Curve) -> tuple[Array, Array]:
    """The largest share of the reference's bytes saved at equal quality, and that quality.

    Returns:
        As `best_gain`.

    >>> saving, quality = best_saving(front([1.0, 2.0], [0.5, 0.8]), front([2.0, 8.0], [0.5, 0.8]))
    >>> round(float(saving), 6), float(quality)
    (0.75, 0.8)
    """
    more, where = _differences(
        (curve.quality, curve.log_rate), (reference.quality, reference.log_rate)
    )
    saving, quality = _largest(-more, where)
    return -np.expm1(-saving), quality


def common_quality(curve: Curve, reference: Curve) -> tuple[Array, Array]:
    """The range of quality that `bd_rate` is a mean over."""
    return _common(curve.quality, reference.quality)


def _common(first: Array, second: Array) -> tuple[Array, Array]:
    low = np.maximum(first[..., 0], second[..., 0])
    high = np.minimum(np.fmax.reduce(first, -1), np.fmax.reduce(second, -1))
    return low, high


def _differences(curve: tuple[Array, Array], reference: tuple[Array, Array]) -> tuple[Array, Array]:
    """(curve - reference, where) at the knots of both, (..., M + M'); NaN outside either."""
    shape = np.broadcast_shapes(curve[0].shape[:-1], reference[0].shape[:-1])
    knots = [np.broadcast_to(x, (*shape, x.shape[-1])) for x, _ in (curve, reference)]
    where = np.concatenate(knots, -1)
    return interpolate(*curve, where) - interpolate(*reference, where), where


def _largest(values: Array, where: Array) -> tuple[Array, Array]:
    index = np.where(np.isnan(values), -np.inf, values).argmax(-1)[..., None]
    value = np.take_along_axis(values, index, -1)[..., 0]
    place = np.take_along_axis(where, index, -1)[..., 0]
    return value, np.where(np.isnan(value), np.nan, place)
