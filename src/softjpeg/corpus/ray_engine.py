"""Images encoded by Ray, on this machine or a cluster: the same rows as in processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from softjpeg.common.extras import import_extra
from softjpeg.common.worker import one_thread
from softjpeg.corpus.engine import QUEUED_BYTES, Engine, EngineLostError, Entry, in_order
from softjpeg.corpus.error_classes import ErrorClass
from softjpeg.corpus.samples import Encoder, Row, encode_batch, failed_row

_BEGINNING = 60.0
"""Seconds that a worker may take to begin: Ray does not say when a task does."""
_LOOK = 2.0
"""Seconds between two looks whether Ray is there."""
_TOGETHER, _TOGETHER_BYTES = 8, 1 << 20
"""Images, and bytes of them, that go to a worker at once: one by one Ray's work exceeds ours."""


@contextmanager
def ray_workers(encoder: Encoder, jobs: int, queued_bytes: int = QUEUED_BYTES) -> Iterator[Engine]:
    """While inside, Ray's workers: of the cluster at RAY_ADDRESS, or so many on this machine.

    What fails of an image is a row, never an exception. Several images go to a worker at once;
    where it ends or takes too long, each is encoded alone.

    Args:
        encoder: how images are encoded; its limit of seconds, and a minute in which a worker may
            begin, count from when an image is the next in order, and end its process.
        jobs: workers on this machine; the rows do not depend on how many.
        queued_bytes: of sources that are held at once.

    Raises:
        ValueError: `jobs` is below 1.
        ImportError: Ray is not installed.
        EngineLostError: none of Ray's nodes is alive; while rows are waited for.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    ray = import_extra("ray", "ray")
    started = not ray.is_initialized()
    if started:
        local = {} if "RAY_ADDRESS" in os.environ else {"address": "local", "num_cpus": jobs}
        ray.init(**local, include_dashboard=False, log_to_driver=False)
    try:
        remote = ray.remote(max_retries=0)(_encode)
        shared = ray.put(encoder)
        last = _Batch()

        def begin(batch: _Batch) -> _Batch:
            sent = [(entry.key, entry.source) for entry in batch.entries]
            batch.reference = remote.remote(sent, shared)
            batch.rows = batch.reference.future()
            return batch

        def submit(entry: Entry) -> _Place:
            nonlocal last
            if last.rows is not None:
                last = _Batch()
            last.entries.append(entry)
            place = _Place(last, len(last.entries) - 1)
            if last.is_full():
                begin(last)
            return place

        def row_of(entry: Entry, place: _Place) -> Row:
            batch, seconds = place.batch, encoder.limits.seconds
            if batch.alone:
                return row_of(entry, _Place(batch.alone[place.number], 0))
            if batch.rows is None:
                begin(batch)
            failure: tuple[ErrorClass, str]
            try:
                return _result(ray, batch, seconds + _BEGINNING)[place.number]
            except (TookTooLong, ray.exceptions.GetTimeoutError):
                ray.cancel(batch.reference, force=True)
                failure = "limit-seconds", f"{entry.key} took over {seconds:g} seconds"
            except ray.exceptions.RayTaskError as error:
                failure = "other", str(error)
            except ray.exceptions.RayError as error:
                failure = "memory", f"{entry.key} ended the process that encoded it: {error}"
            if len(batch.entries) == 1:
                return failed_row(entry.key, entry.source, *failure)
            # Which of them it was shows when each is alone.
            batch.alone = [begin(_Batch([each])) for each in batch.entries]
            return row_of(entry, place)

        yield lambda entries: in_order(entries, submit, row_of, queued_bytes)
    finally:
        if started:
            ray.shutdown()


@dataclass(eq=False)
class _Batch:
    """Images for one worker.

    Attributes:
        entries: of the images.
        reference: Ray's name of what the worker returns; None before it is asked.
        rows: what that will be.
        alone: a batch for each image, where together they failed.
    """

    entries: list[Entry] = field(default_factory=list)
    reference: Any = None
    rows: Future[list[Row]] | None = None
    alone: list[_Batch] = field(default_factory=list)

    def is_full(self) -> bool:
        """Whether it goes to a worker."""
        held = sum(entry.size for entry in self.entries)
        return len(self.entries) >= _TOGETHER or held >= _TOGETHER_BYTES


class _Place(NamedTuple):
    batch: _Batch
    number: int

    def done(self) -> bool:
        return self.batch.rows is not None and self.batch.rows.done()


def _result(ray: Any, batch: _Batch, seconds: float) -> list[Row]:
    """What a worker returns; Ray lets one wait for ever whose nodes are gone."""
    assert batch.rows is not None
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        try:
            return batch.rows.result(min(left, _LOOK))
        except TookTooLong:
            if not any(node["Alive"] for node in ray.nodes()):
                raise EngineLostError(
                    "none of Ray's nodes is alive any more: shards that are written are whole, and "
                    "the same command goes on from there"
                ) from None
            if left <= _LOOK:
                raise


def _encode(images: Sequence[tuple[str, bytes]], encoder: Encoder) -> list[Row]:
    one_thread()
    return encode_batch(images, encoder)
