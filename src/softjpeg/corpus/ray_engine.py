"""Images encoded by Ray, on this machine or a cluster: the same rows as in processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager
from typing import Any

from softjpeg.common.extras import import_extra
from softjpeg.common.worker import one_thread
from softjpeg.corpus.engine import QUEUED_BYTES, Engine, EngineLostError, Entry, in_order
from softjpeg.corpus.samples import Encoder, Row, encode_batch, failed_row

_BEGINNING = 60.0
"""Seconds that a worker may take to begin: Ray does not say when a task does."""
_LOOK = 2.0
"""Seconds between two looks whether Ray is there."""


@contextmanager
def ray_workers(encoder: Encoder, jobs: int, queued_bytes: int = QUEUED_BYTES) -> Iterator[Engine]:
    """While inside, Ray's workers: of the cluster at RAY_ADDRESS, or so many on this machine.

    What fails of an image is a row, never an exception.

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
        remote = ray.remote(max_retries=0)(_encode_one)
        shared = ray.put(encoder)
        tasks: dict[Future[Row], object] = {}

        def submit(entry: Entry) -> Future[Row]:
            reference = remote.remote(entry.key, entry.source, shared)
            future: Future[Row] = reference.future()
            tasks[future] = reference
            return future

        def row_of(entry: Entry, task: Future[Row]) -> Row:
            seconds = encoder.limits.seconds
            reference = tasks.pop(task)
            try:
                return _result(ray, task, seconds + _BEGINNING)
            except (TookTooLong, ray.exceptions.GetTimeoutError):
                ray.cancel(reference, force=True)
                sentence = f"{entry.key} took over {seconds:g} seconds"
                return failed_row(entry.key, entry.source, "limit", sentence)
            except ray.exceptions.RayTaskError as error:
                return failed_row(entry.key, entry.source, "other", str(error))
            except ray.exceptions.RayError as error:
                sentence = f"{entry.key} ended the process that encoded it: {error}"
                return failed_row(entry.key, entry.source, "memory", sentence)

        yield lambda entries: in_order(entries, submit, row_of, queued_bytes)
    finally:
        if started:
            ray.shutdown()


def _result(ray: Any, task: Future[Row], seconds: float) -> Row:
    """What a task returns; Ray leaves one waiting for ever whose nodes are gone."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        try:
            return task.result(min(left, _LOOK))
        except TookTooLong:
            if not any(node["Alive"] for node in ray.nodes()):
                raise EngineLostError(
                    "none of Ray's nodes is alive any more: shards that are written are whole, and "
                    "the same command goes on from there"
                ) from None
            if left <= _LOOK:
                raise


def _encode_one(key: str, data: bytes, encoder: Encoder) -> Row:
    one_thread()
    return encode_batch([(key, data)], encoder)[0]
