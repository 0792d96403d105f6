"""The lowest rate at which a network keeps its answers, by bisection.

First over default JPEG's qualities, so that learning happens at about the right rate; then over the
rate of what was learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

QUALITIES = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 25, 30),
    *(35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 98, 100),
)
"""Of default JPEG: 31, so that 5 measurements find one."""
QUALITY_STEPS = 5
RATE_STEPS = 6
_LOWEST, _HIGHEST = 0.3, 1.2


def rates(default: float) -> list[float]:
    """63 rates, 2 % apart, about that of default tables which keep as much.

    >>> [round(rate, 3) for rate in rates(1.0)[::31]]
    [0.3, 0.6, 1.2]
    """
    count = (1 << RATE_STEPS) - 1
    span = math.log(_HIGHEST / _LOWEST) / (count - 1)
    return [default * _LOWEST * math.exp(span * i) for i in range(count)]


def bisect(count: int, drops: Sequence[float], max_drop: float) -> tuple[int, float]:
    """The index to try next, or after enough tries the lowest that keeps the answers.

    Args:
        count: of candidates, ``2**n - 1``, in the order of their rate.
        drops: points lost at each one tried so far.
        max_drop: that may be lost.

    Returns:
        (index, points lost at it). While there are less than n drops, the index is the next to try;
        after n it is the answer, or `count` and the last one's points where none keeps them.

    >>> bisect(7, [], 1.0)[0], bisect(7, [0.5], 1.0)[0], bisect(7, [0.5, 2.0, 0.7], 1.0)
    (3, 1, (2, 0.7))
    """
    low, high, lost = 0, count, drops[-1] if drops else math.nan
    for drop in drops:
        middle = (low + high) // 2
        if drop <= max_drop:
            high, lost = middle, drop
        else:
            low = middle + 1
    return (low + high) // 2, lost
