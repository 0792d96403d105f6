"""Bodies that are refused before they have come, and those that are read nevertheless."""

import asyncio

import pytest

pytest.importorskip("starlette.requests", reason="softjpeg[serve] is not installed")
pytest.importorskip("pebble")
from starlette.requests import Request

from softjpeg.corpus.service.bodies import read_body
from softjpeg.corpus.service.workers import Held


def refused(size, most, version="1.1", connection=None):
    """The status, and how many bytes of the body were read before."""
    read = 0

    async def receive():
        nonlocal read
        piece = bytes(min(1000, size - read))
        read += len(piece)
        return {"type": "http.request", "body": piece, "more_body": read < size}

    headers = [(b"content-length", str(size).encode())]
    headers += [] if connection is None else [(b"connection", connection)]
    scope = {"type": "http", "method": "POST", "http_version": version, "headers": headers}
    held = Held(50_000)
    with held.request() as take:
        answer = asyncio.run(read_body(Request(scope, receive), held, take, most, 30))
    assert held.bytes == 0
    return answer.status, read


def test_what_is_refused_by_its_length_is_answered_at_once():
    assert refused(40_000, 10**6) == (429, 0)
    assert refused(40_000, 10**6, connection=b"keep-alive") == (429, 0)
    assert refused(40_000, 30_000) == (413, 0)


@pytest.mark.parametrize(("version", "connection"), [("1.0", None), ("1.1", b"Close")])
def test_a_connection_that_ends_with_the_answer_is_read_first(version, connection):
    assert refused(40_000, 10**6, version, connection) == (429, 40_000)
    assert refused(3 << 20, 10**6, version, connection) == (413, 0)
