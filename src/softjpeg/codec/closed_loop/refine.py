"""From the smallest candidate that keeps an answer to a smaller file, by repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from softjpeg.codec.closed_loop.judge import Judge, Views
from softjpeg.codec.closed_loop.repair import repair_files
from softjpeg.codec.closed_loop.search import Choice, Mapper


def refined_choices(
    images: Sequence[Any],
    choices: Sequence[Choice],
    judge: Judge,
    passes: int,
    *,
    originals: Sequence[Views] | None = None,
    mapper: Mapper = map,
) -> list[Choice]:
    """Repair the file chosen for every image, see `repair_files`.

    To begin at smaller files and win their answers back takes more passes for the same bytes: 7 of
    40 files of half the size were won back in 6 (`benchmarks/network_in_the_loop.py`'s images).

    Args:
        images, judge, originals, mapper: as for `smallest_files`.
        choices: what `smallest_files` found.
        passes: forward and backward passes, at most.

    Returns:
        The choices, smaller where a repair was; "repaired" is then added to the candidate's name,
        and the passes to the runs.

    Raises:
        ValueError: as for `repair_files`.
    """
    found = repair_files(
        images, [c.data for c in choices], judge, passes, originals=originals, mapper=mapper
    )
    return [
        Choice(
            result.data,
            choice.candidate + (" repaired" if result.data != choice.data else ""),
            result.kept,
            result.measures,
            choice.runs + result.passes,
        )
        for choice, result in zip(choices, found, strict=True)
    ]
