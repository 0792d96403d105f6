"""Which images tables are derived from, and which judge them: the first half, and the rest."""

from __future__ import annotations

_LEAST_BATCHES = 8


def fitting_batch_size(count: int, most: int) -> int:
    """Images read at once: few images still make batches enough to tell a gain from chance.

    >>> fitting_batch_size(1000, 32), fitting_batch_size(40, 32)
    (32, 5)
    """
    return max(1, min(most, count // _LEAST_BATCHES))


def halves(count: int, batch_size: int) -> tuple[list[slice], list[slice]]:
    """(measured, judged) batches of `count` images; the same where there is only one.

    >>> halves(5, 2)
    ([slice(0, 2, None), slice(2, 4, None)], [slice(4, 6, None)])
    """
    batches = [slice(i, i + batch_size) for i in range(0, count, batch_size)]
    middle = -(-len(batches) // 2)
    return batches[:middle], batches[middle:] or batches
