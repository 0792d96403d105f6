"""Entries of a source and what became of them, in their order: what encodes is an engine."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from softjpeg.corpus.samples import Encoder, Row, encode_one

QUEUED_BYTES = 1 << 28
"""Of source files that wait or are encoded at once: 256 MiB."""

_LEAST = 1 << 14
"""Bytes that the smallest image counts for."""


class EngineLostError(OSError):
    """What encodes is gone: no image's fault, and the end of the run."""


@dataclass(frozen=True)
class Entry:
    """One thing of a source of images.

    Attributes:
        key: its name.
        data: what is in it.
        image: whether it is to be encoded; what is not goes through in its place.
        rest: what else the source says of it.
        path: of a file that is read when its turn comes, in place of the data.
    """

    key: str
    data: bytes
    image: bool
    rest: Any = None
    path: Path | None = None

    @property
    def source(self) -> bytes | Path:
        """Its data, or where they are."""
        return self.data if self.path is None else self.path

    @property
    def size(self) -> int:
        """Bytes that it counts for while it waits."""
        size = len(self.data)
        if self.image and self.path is not None:
            # Reading it will say what is wrong with it.
            with contextlib.suppress(OSError):
                size = os.stat(self.path).st_size
        return max(size, _LEAST)


class Task(Protocol):
    """An image that is being encoded."""

    def done(self) -> bool:
        """Whether its row is there."""


_Task = TypeVar("_Task", bound=Task)

Engine = Callable[[Iterable[Entry]], Iterator[tuple[Entry, Row | None]]]
"""From entries to what became of them, in their order; None of what is no image."""


@contextmanager
def threads(encoder: Encoder, jobs: int, queued_bytes: int = QUEUED_BYTES) -> Iterator[Engine]:
    """While inside, so many threads; nothing ends an image that takes too long.

    Args:
        encoder: how images are encoded.
        jobs: threads; the rows do not depend on how many.
        queued_bytes: of sources that are held at once.

    Raises:
        ValueError: `jobs` is below 1.
    """
    with pool_of(jobs) as pool, encoder.applied():

        def submit(entry: Entry) -> Future[Row]:
            return pool.submit(encode_one, entry.key, entry.source, encoder)

        yield lambda entries: in_order(entries, submit, lambda _, task: task.result(), queued_bytes)


@contextmanager
def pool_of(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for so many jobs; ValueError unless there is at least one."""
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(
    entries: Iterable[Entry],
    submit: Callable[[Entry], _Task],
    row_of: Callable[[Entry, _Task], Row],
    queued_bytes: int,
) -> Iterator[tuple[Entry, Row | None]]:
    """What became of entries, in their order, while later ones are encoded.

    Args:
        entries: of any number.
        submit: begins to encode an image.
        row_of: waits for it.
        queued_bytes: of sources that are held at once.
    """
    waiting: deque[tuple[Entry, int, _Task | None]] = deque()
    held = 0
    for entry in entries:
        size = entry.size
        while waiting and (held + size > queued_bytes or _is_done(waiting[0][2])):
            first, its_size, task = waiting.popleft()
            held -= its_size
            yield first, None if task is None else row_of(first, task)
        held += size
        waiting.append((entry, size, submit(entry) if entry.image else None))
    for entry, _, task in waiting:
        yield entry, None if task is None else row_of(entry, task)


def _is_done(task: Task | None) -> bool:
    return task is None or task.done()
