"""Images encoded in processes, of which a time limit ends those that take too long."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path

from softjpeg.common.extras import import_extra
from softjpeg.common.worker import start_worker
from softjpeg.corpus.engine import QUEUED_BYTES, Engine, Entry, in_order
from softjpeg.corpus.samples import Encoder, Row, encode_batch, failed_row


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
    context = _context(encoder)
    pool = pebble.ProcessPool(jobs, initializer=_start, initargs=(encoder,), context=context)
    seconds = encoder.limits.seconds

    def submit(entry: Entry) -> Future[Row]:
        task: Future[Row] = pool.schedule(
            _encode_one, args=(entry.key, entry.source), timeout=seconds
        )
        return task

    try:
        yield lambda entries: in_order(entries, submit, partial(_row, seconds), queued_bytes)
    finally:
        pool.stop()
        pool.join()


def _context(encoder: Encoder) -> BaseContext:
    """How processes begin: one imports what they need, and the others are forked from it."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # Not forked from this process: with threads in it that may hang.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *["softjpeg.codec.rdo"] * encoder.needs_torch])
    return context


_encoder: list[Encoder] = []
"""Of this process: sent once, not with each image."""


def _start(encoder: Encoder) -> None:
    start_worker()
    _encoder[:] = [encoder]


def _encode_one(key: str, data: bytes | Path) -> Row:
    return encode_batch([(key, data)], _encoder[0])[0]


def _row(seconds: float, entry: Entry, task: Future[Row]) -> Row:
    from pebble import ProcessExpired

    try:
        return task.result()
    except TookTooLong:
        sentence = f"{entry.key} took over {seconds:g} seconds"
        return failed_row(entry.key, entry.source, "limit-seconds", sentence)
    except ProcessExpired as error:
        sentence = f"{entry.key} ended the process that encoded it: {error}"
        return failed_row(entry.key, entry.source, "memory", sentence)
