"""From the smallest candidate that keeps an answer to a smaller file by repair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from softjpeg.loop.candidates import Candidate
from softjpeg.loop.judge import Judge, Views
from softjpeg.loop.repair import Mapper, repair_files
from softjpeg.loop.search import Choice

SHARES = (0.5, 0.7, 1.0)
"""Of the bytes of the file found: what a repair starts from, until one keeps the answer."""


def refined_choices(
    images: Sequence[Any],
    candidates: Sequence[Sequence[Candidate]],
    choices: Sequence[Choice],
    judge: Judge,
    passes: int,
    *,
    originals: Sequence[Views] | None = None,
    mapper: Mapper = map,
) -> list[Choice]:
    """Repair for every image a candidate smaller than the one chosen, see `repair_files`.

    Args:
        images, candidates, judge, originals, mapper: as for `smallest_files`.
        choices: what `smallest_files` found.
        passes: forward and backward passes for each start.

    Returns:
        The choices, smaller where a repair was; "repaired" is then added to the candidate's name,
        and the passes to the runs.

    Raises:
        ValueError: as for `repair_files`.
    """
    best = list(choices)
    todo = list(range(len(best)))

    def files_of(i: int) -> list[tuple[bytes, str]]:
        files = [(c.encode(images[i]), c.name) for c in candidates[i]]
        found = choices[i].data, choices[i].candidate
        return sorted([*files, found], key=lambda file: len(file[0]))

    files = list(mapper(files_of, todo))
    for share in SHARES:
        starts = {i: _largest(files[i], share * len(choices[i].data)) for i in todo}
        found = repair_files(
            [images[i] for i in todo],
            [starts[i][0] for i in todo],
            judge,
            passes,
            originals=None if originals is None else [originals[i] for i in todo],
            mapper=mapper,
        )
        for i, result in zip(todo, found, strict=True):
            best[i] = replace(best[i], runs=best[i].runs + result.passes)
            if result.kept and (len(result.data) < len(best[i].data) or not best[i].kept):
                name = f"{starts[i][1]} repaired"
                best[i] = Choice(result.data, name, True, result.measures, best[i].runs)
        todo = [i for i, result in zip(todo, found, strict=True) if not result.kept]
        if not todo:
            break
    return best


def _largest(files: Sequence[tuple[bytes, str]], size: float) -> tuple[bytes, str]:
    """The largest of these files, in order of size, of at most so many bytes; else the first."""
    below = [file for file in files if len(file[0]) <= size]
    return below[-1] if below else files[0]
