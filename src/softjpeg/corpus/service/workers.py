"""The processes that encode, with a time limit that ends them, and the bytes that wait for them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import contextmanager

from pebble import ProcessExpired, ProcessPool

from softjpeg.common.worker import start_worker
from softjpeg.corpus.service.settings import Encoded, Order, Refusal, Settings
from softjpeg.corpus.service.worker import encode_body

_LEAST = 1 << 14
"""Bytes that the smallest request counts for."""


_NICE = 5
"""How much the processes that encode give way, in steps of `nice`."""


class Held:
    """Bytes of request bodies in memory, up to a bound.

    >>> held = Held(100_000)
    >>> with held.request() as take:
    ...     take(50_000), take(60_000), held.bytes
    (True, False, 66384)
    >>> held.bytes
    0
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0

    def fits(self, size: int) -> bool:
        """Whether so many bytes more are within the bound."""
        return self.bytes + size <= self.most

    @contextmanager
    def request(self) -> Iterator[Take]:
        """While inside, what the function yielded took is held."""
        take = Take(self)
        take.count(_LEAST)
        try:
            yield take
        finally:
            self.bytes -= take.taken


class Take:
    """What one request holds."""

    def __init__(self, held: Held) -> None:
        self.held, self.taken = held, 0

    def __call__(self, size: int) -> bool:
        """Hold so many bytes more; False where they are too many, and then they are not held."""
        if not self.held.fits(size):
            return False
        self.count(size)
        return True

    def count(self, size: int) -> None:
        """Hold so many bytes more, within the bound or not."""
        self.taken += size
        self.held.bytes += size


def _start() -> None:
    """As any worker, but second to the process that answers: a full queue must not delay that."""
    start_worker()
    if hasattr(os, "nice"):
        os.nice(_NICE)


class Workers:
    """Processes that encode, an image each at a time.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pool = ProcessPool(
            settings.workers,
            initializer=_start,
            # A fork of a process with threads may hang.
            context=multiprocessing.get_context("spawn"),
        )

    async def start(self) -> None:
        """Return when images are encoded; ValueError of a preset that cannot be read."""
        for spec in self.settings.presets.values():
            answer = await self.encode(_PIXEL, "a pixel", Order(spec, 50), 600.0)
            if isinstance(answer, Refusal):
                # A single preset has no quality to choose.
                answer = await self.encode(_PIXEL, "a pixel", Order(spec), 600.0)
            if isinstance(answer, Refusal):
                raise ValueError(answer.detail)

    async def encode(
        self, data: bytes, name: str, order: Order, seconds: float | None = None
    ) -> Encoded | Refusal:
        """An image's file, or why there is none; after so many seconds its process is ended.

        Args:
            data: of an image file.
            name: what sentences call it.
            order: preset, quality and mode.
            seconds: at most; None for the limit of the settings.
        """
        limits = self.settings.limits
        most = limits.seconds if seconds is None else seconds
        try:
            task = self._pool.schedule(encode_body, (data, name, order, limits), timeout=most)
            return await asyncio.wrap_future(task)
        except TookTooLong:
            return Refusal(504, "limit-seconds", f"{name} took over {most:g} seconds")
        except ProcessExpired as error:
            return Refusal(503, "memory", f"{name} ended the process that encoded it: {error}")

    def stop(self) -> None:
        """End the processes."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


_PIXEL = b"P5 1 1 255 \x80"
