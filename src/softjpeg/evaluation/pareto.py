"""Pareto fronts of rate-quality curves: accuracy over rate is not monotone, its front is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def pareto_front(cost: npt.ArrayLike, quality: npt.ArrayLike) -> tuple[Array, Array]:
    """The points that no other point beats: none costs as little and is as good or better.

    Args:
        cost: (..., M), lower is better.
        quality: (..., M), higher is better. Points where either is not finite are left out.

    Returns:
        (cost, quality), each (..., M): every front sorted, strictly rising in both, and filled up
        with NaN at its end.

    >>> pareto_front([3.0, 1.0, 2.0], [0.8, 0.5, 0.4])
    (array([ 1.,  3., nan]), array([0.5, 0.8, nan]))
    """
    x, y = np.broadcast_arrays(np.asarray(cost, float), np.asarray(quality, float))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, np.inf), np.where(known, y, -np.inf)
    # Of equal cost the best comes first, so the others cannot rise above it.
    x, y = _take((x, y), np.lexsort((-y, x), axis=-1))
    best_before = np.maximum.accumulate(y, -1)[..., :-1]
    start = np.full((*y.shape[:-1], 1), -np.inf)
    dominated = y <= np.concatenate([start, best_before], -1)
    x, y = np.where(dominated, np.nan, x), np.where(dominated, np.nan, y)
    return _take((x, y), np.argsort(dominated, axis=-1, kind="stable"))


def _take(arrays: tuple[Array, Array], order: npt.NDArray[Any]) -> tuple[Array, Array]:
    first, second = (np.take_along_axis(array, order, -1) for array in arrays)
    return first, second
