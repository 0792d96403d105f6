"""Images encoded in processes, in their order: a time limit ends one, a bound of bytes waits."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from softjpeg.common.extras import import_extra
from softjpeg.common.worker import start_worker
from softjpeg.corpus.samples import Encoder, Row, encode_batch, failed_row

QUEUED_BYTES = 1 << 28
"""Of source files that wait or are encoded at once: 256 MiB."""

_LEAST = 1 << 14
"""Bytes that the smallest image counts for."""


@dataclass(frozen=True)
class Entry:
    """One thing of a container of images.

    Attributes:
        key: its name.
        data: what is in it.
        image: whether it is to be encoded; what is not goes through in its place.
        rest: what else the container says of it.
    """

    key: str
    data: bytes
    image: bool
    rest: Any = None


Engine = Callable[[Iterable[Entry]], Iterator[tuple[Entry, Row | None]]]
"""From entries to what became of them, in their order; None of what is no image."""


@contextmanager
def processes(encoder: Encoder, jobs: int, queued_bytes: int = QUEUED_BYTES) -> Iterator[Engine]:
    """While inside, so many processes; a slow image keeps none but its own from going on.

    Args:
        encoder: how images are encoded; its limit of seconds ends the process of one that takes
            longer, and a row says so.
        jobs: processes; the rows do not depend on how many.
        queued_bytes: of sources that are held at once.

    Raises:
        ValueError: `jobs` is below 1.
        ImportError: pebble is not installed.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    pebble = import_extra("pebble", "corpus")
    # A fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = pebble.ProcessPool(jobs, initializer=_start, initargs=(encoder,), context=context)
    try:
        yield lambda samples: _in_order(samples, pool, encoder.limits.seconds, queued_bytes)
    finally:
        pool.stop()
        pool.join()


_encoder: list[Encoder] = []
"""Of this process: sent once, not with each image."""


def _start(encoder: Encoder) -> None:
    start_worker()
    _encoder[:] = [encoder]


def _encode_one(key: str, data: bytes) -> Row:
    return encode_batch([(key, data)], _encoder[0])[0]


def _in_order(
    entries: Iterable[Entry], pool: Any, seconds: float, most: int
) -> Iterator[tuple[Entry, Row | None]]:
    waiting: deque[tuple[Entry, Any]] = deque()
    held = 0
    for entry in entries:
        size = max(len(entry.data), _LEAST)
        while waiting and (held + size > most or _is_done(waiting[0][1])):
            first, task = waiting.popleft()
            held -= max(len(first.data), _LEAST)
            yield first, _row(first, task, seconds)
        held += size
        words = {"args": (entry.key, entry.data), "timeout": seconds}
        waiting.append((entry, pool.schedule(_encode_one, **words) if entry.image else None))
    for entry, task in waiting:
        yield entry, _row(entry, task, seconds)


def _is_done(task: Any) -> bool:
    return task is None or task.done()


def _row(entry: Entry, task: Any, seconds: float) -> Row | None:
    from pebble import ProcessExpired

    if task is None:
        return None
    try:
        row: Row = task.result()
    except TookTooLong:
        sentence = f"{entry.key} took over {seconds:g} seconds"
        return failed_row(entry.key, entry.data, "limit", sentence)
    except ProcessExpired as error:
        sentence = f"{entry.key} ended the process that encoded it: {error}"
        return failed_row(entry.key, entry.data, "memory", sentence)
    return row
