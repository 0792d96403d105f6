"""PCHIP: curves through points that rise, for a thousand curves at once."""

from __future__ import annotations

import math

import numpy as np

from softjpeg.evaluation.pareto import Array


def interpolate(x: Array, y: Array, at: Array) -> Array:
    """Every curve at its own places (Fritsch and Butland, 1984; as scipy's PchipInterpolator).

    scipy's takes many curves only where they share their knots; resampled curves do not.

    Args:
        x: (..., M) knots, strictly rising, filled up with NaN at the end.
        y: (..., M) values there, rising likewise.
        at: (..., Q).

    Returns:
        (..., Q); NaN outside a curve's knots: nothing is extrapolated.

    >>> x, y = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0])
    >>> interpolate(x, y, np.array([0.5, 2.0, 2.1]))
    array([ 1.,  4., nan])
    """
    lead, width = at.shape[:-1], at.shape[-1]
    rows, knots = math.prod(lead), x.shape[-1]
    x, y = (np.broadcast_to(a, (*lead, knots)).reshape(rows, knots) for a in (x, y))
    at = at.reshape(rows, width)
    values = np.full(at.shape, np.nan)
    counts = np.isfinite(x).sum(-1)
    for count in np.unique(counts[counts > 0]):
        same = counts == count
        values[same] = _hermite(x[same, :count], y[same, :count], at[same])
    return values.reshape(*lead, width)


def mean_between(x: Array, y: Array, low: Array, high: Array) -> Array:
    """The mean of every curve of `interpolate` over its interval (low, high), each (...).

    Exact: two Gauss points integrate the cubic of each piece.

    Args:
        x: (..., M) knots, strictly rising, filled up with NaN at the end.
        y: (..., M) values there, rising likewise.
        low, high: ends of the interval.

    Returns:
        (...); NaN where the interval is empty or leaves the curve.

    >>> x, y = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 6.0])
    >>> float(mean_between(x, y, np.array(1.0), np.array(2.0)))
    3.0
    """
    edges = np.clip(x, low[..., None], high[..., None])
    width, centre = np.diff(edges), (edges[..., 1:] + edges[..., :-1]) / 2
    places = [centre + side * width / np.sqrt(12) for side in (-1, 1)]
    values = np.nan_to_num(interpolate(x, y, np.concatenate(places, -1)))
    area = (np.nan_to_num(np.concatenate([width, width], -1)) * values / 2).sum(-1)
    inside = (low < high) & (low >= x[..., 0]) & (high <= np.fmax.reduce(x, -1))
    return np.where(inside, area / np.where(inside, high - low, 1), np.nan)


def _hermite(x: Array, y: Array, at: Array) -> Array:
    if x.shape[-1] == 1:
        return np.where(at == x, y, np.nan)
    h = np.diff(x)
    slope = _slopes(h, np.diff(y) / h)
    left = (at[..., None] >= x[:, None, :-1]).sum(-1) - 1
    i = np.maximum(left, 0)

    def near(array: Array, shift: int = 0) -> Array:
        return np.take_along_axis(array, i + shift, -1)

    t = (at - near(x)) / near(h)
    value = (
        (1 + 2 * t) * (1 - t) ** 2 * near(y)
        + t**2 * (3 - 2 * t) * near(y, 1)
        + t * (1 - t) * near(h) * ((1 - t) * near(slope) - t * near(slope, 1))
    )
    return np.where((at >= x[:, :1]) & (at <= x[:, -1:]), value, np.nan)


def _slopes(h: Array, secant: Array) -> Array:
    """Derivatives at the knots: harmonic means of the secants, which all rise."""
    if h.shape[-1] == 1:
        return np.repeat(secant, 2, -1)
    w1, w2 = 2 * h[:, 1:] + h[:, :-1], h[:, 1:] + 2 * h[:, :-1]
    inner = (w1 + w2) / (w1 / secant[:, :-1] + w2 / secant[:, 1:])

    def end(h0: Array, h1: Array, s0: Array, s1: Array) -> Array:
        return np.maximum(((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1), 0)[:, None]

    first = end(h[:, 0], h[:, 1], secant[:, 0], secant[:, 1])
    last = end(h[:, -1], h[:, -2], secant[:, -1], secant[:, -2])
    return np.concatenate([first, inner, last], -1)
