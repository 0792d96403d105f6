"""Many images of one request: a tar archive that is sent as it is made, with a manifest behind."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from softjpeg.corpus.digests import sha256
from softjpeg.corpus.service.bodies import file_name
from softjpeg.corpus.service.settings import Encoded, Order, Refusal

MANIFEST = "manifest.jsonl"

Encode = Callable[[bytes, str, Order], Awaitable[Encoded | Refusal]]


class BatchResponse(StreamingResponse):
    """A tar archive of the images' files and `MANIFEST`: a line of JSON for every image.

    Args:
        images: names and bytes.
        order: how they are to be encoded.
        encode: one of them.
        parallel: images under way at a time.
        holding: what is let go at the end, however that comes.
    """

    def __init__(
        self,
        images: Iterator[tuple[str, bytes]],
        order: Order,
        encode: Encode,
        parallel: int,
        holding: AbstractContextManager[Any],
    ) -> None:
        self._holding = holding
        super().__init__(_archive(images, order, encode, parallel), media_type="application/x-tar")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; ASGI."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._holding.__exit__(None, None, None)


async def _archive(
    images: Iterator[tuple[str, bytes]], order: Order, encode: Encode, parallel: int
) -> AsyncIterator[bytes]:
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    under_way: deque[tuple[str, str, asyncio.Task[tuple[Encoded | Refusal, str]]]] = deque()

    async def encoded(data: bytes, key: str) -> tuple[Encoded | Refusal, str]:
        return await encode(data, key, order), sha256(data)

    async def finished() -> bytes:
        key, name, task = under_way.popleft()
        answer, digest = await task
        row: dict[str, Any] = {"source": key, "source_sha256": digest}
        if isinstance(answer, Refusal):
            rows.append(row | {"error": answer.error, "detail": answer.detail})
            return b""
        size = len(answer.data)
        chosen = {} if answer.quality is None else {"quality": answer.quality}
        rows.append(row | {"file": name, "sha256": answer.sha256, "bytes": size} | chosen)
        return _member(name, answer.data)

    try:
        for key, data in _until_damaged(images, rows):
            name = file_name(key)
            if name is None or name in names:
                why = "leads out of a folder" if name is None else f"would be {name} once more"
                rows.append({"source": key, "error": "request", "detail": f"{key} {why}"})
                continue
            names.add(name)
            under_way.append((key, name, asyncio.create_task(encoded(data, key))))
            if len(under_way) >= parallel:
                yield await finished()
        while under_way:
            yield await finished()
    finally:
        for _, _, task in under_way:
            task.cancel()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    yield _member(MANIFEST, lines.encode())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _until_damaged(
    images: Iterator[tuple[str, bytes]], rows: list[dict[str, Any]]
) -> Iterator[tuple[str, bytes]]:
    """The images up to where the archive is damaged, which becomes a row."""
    try:
        yield from images
    except (tarfile.TarError, OSError, ValueError) as error:
        rows.append({"source": None, "error": "decode", "detail": f"the archive ends: {error}"})


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    padding = bytes(-len(data) % tarfile.BLOCKSIZE)
    return info.tobuf(errors="surrogateescape") + data + padding
