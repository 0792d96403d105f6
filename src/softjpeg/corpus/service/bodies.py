"""Bodies of requests: held within a bound while they arrive, and batches taken apart."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import PurePosixPath

import anyio
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from softjpeg.corpus.service.settings import Refusal
from softjpeg.corpus.service.workers import Held, Take

_DISCARDED = 1 << 20
"""Bytes of a refused body that are still read where the connection ends with the answer: many
clients read none before all is sent. Of one that stays the server leaves out the rest itself."""

TAR, MULTIPART = "application/x-tar", "multipart/form-data"


async def read_body(
    request: Request, held: Held, take: Take, most: int, seconds: float
) -> bytes | Refusal:
    """The body of a request, or why it is not read.

    Args:
        request: whose length may be declared or not.
        held: the bytes of all requests.
        take: what holds this request's bytes.
        most: bytes of a body.
        seconds: until it must have arrived.
    """
    declared = request.headers.get("content-length", "0")
    size = int(declared) if declared.isdigit() else 0
    refusal = None
    pieces: list[bytes] = []
    length = discarded = 0
    try:
        with anyio.fail_after(seconds):
            if size > most:
                refusal = _too_large(most)
            elif not held.fits(size):
                refusal = _busy(held)
            if refusal and (size > _DISCARDED or _stays(request)):
                return refusal
            async for piece in request.stream():
                if refusal is None:
                    length += len(piece)
                    pieces.append(piece)
                    if length > most:
                        refusal = _too_large(most)
                    elif not take(len(piece)):
                        refusal = _busy(held)
                if refusal is not None:
                    pieces.clear()
                    discarded += len(piece)
                    if discarded > _DISCARDED:
                        return refusal
    except TimeoutError:
        return Refusal(408, "network", f"the body did not arrive within {seconds:g} seconds")
    except ClientDisconnect:
        # Nobody reads it; but a log that a traceback is written to for each would fill up.
        return Refusal(400, "network", "the client went away before its body had arrived")
    return refusal or b"".join(pieces)


def _stays(request: Request) -> bool:
    """Whether the connection is kept for a next request."""
    ends = request.headers.get("connection", "").lower() == "close"
    return request.scope.get("http_version") == "1.1" and not ends


def _too_large(most: int) -> Refusal:
    return Refusal(413, "limit-bytes", f"the body must have at most {most} bytes")


def _busy(held: Held) -> Refusal:
    return Refusal(429, "busy", f"{held.bytes} bytes of requests are waiting: try again later")


async def images_of(body: bytes, kind: str, content_type: str) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of a batch's images.

    Args:
        body: of the request.
        kind: `TAR` or `MULTIPART`.
        content_type: the header, with its parameters.

    Raises:
        ValueError: the body is no tar archive, or no form.
    """
    return _tar_images(body) if kind == TAR else iter(await _form_images(body, content_type))


def _tar_images(body: bytes) -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO(body)
    try:
        # Not compressed, which might unpack to anything.
        return _members(tarfile.TarFile(fileobj=file))
    except (tarfile.TarError, ValueError) as error:
        raise ValueError(f"the body is no tar archive: {error}") from error


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    with archive:
        for member in archive:
            # A sparse one might unpack to anything.
            if member.isreg() and not member.issparse():
                file = archive.extractfile(member)
                assert file is not None
                yield member.name, file.read()


async def _form_images(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    headers = Headers({"content-type": content_type})
    try:
        form = await MultiPartParser(headers, stream(), max_files=10_000).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError, ValueError) as error:
        raise ValueError(f"the body is no multipart form: {error}") from error
    try:
        return [
            (item.filename or field, await item.read())
            for field, item in form.multi_items()
            if isinstance(item, UploadFile)
        ]
    finally:
        await form.close()


def file_name(name: str) -> str | None:
    """The .jpg file's name of an image's; None where that leads out of a folder.

    >>> file_name("a/b.png"), file_name("../a.png"), file_name("/a.png")
    ('a/b.jpg', None, None)
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in name:
        return None
    return str(path.with_suffix(".jpg"))
