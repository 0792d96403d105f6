"""A progress bar with count, rate and remaining time; silent where no one watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def track(
    iterable: Iterable[Item],
    description: str,
    total: int | None = None,
    enabled: bool = True,
) -> Iterator[Item]:
    """Yield the items of `iterable` while a bar on stderr counts them.

    Args:
        iterable: what to go through.
        description: the words before the bar.
        total: how many items there are; default ``len(iterable)`` where it has one.
        enabled: False for no bar; there is none either when stderr is not a terminal.

    >>> list(track([1, 2, 3], "counting", enabled=False))
    [1, 2, 3]
    """
    if not (enabled and sys.stderr.isatty()):
        yield from iterable
        return
    # Imported here: a program that shows no bar need not wait for rich.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, rate="")
        for item in iterable:
            yield item
            progress.advance(task)
            speed = progress.tasks[task].finished_speed or progress.tasks[task].speed
            progress.update(task, rate="" if speed is None else f"{speed:.3g}/s")


@contextmanager
def meter(
    description: str, total: int | None = None, enabled: bool = True
) -> Iterator[Callable[[int, str], None]]:
    """While inside, a bar on stderr, which the function yielded moves on, with words beside it.

    Args:
        description: the words before the bar.
        total: where it ends; None for unknown.
        enabled: False for no bar; there is none either when stderr is not a terminal.

    >>> with meter("encoding", 10) as advance:
    ...     advance(3, "3 of 10")
    """
    if not (enabled and sys.stderr.isatty()):
        yield lambda amount, words: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(description, total=total, words="")
        yield lambda amount, words: progress.update(task, advance=amount, words=words)
