"""What every answer of the app has in common: its headers, refusals, and how queries are read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MARK = "x-softjpeg-app"
"""A header that changes need: pages of other origins cannot send it."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def static(name: str, media_type: str) -> Callable[[Request], Response]:
    """A handler that answers with a file of this package."""

    def answer(_request: Request) -> Response:
        text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        return Response(text, media_type=media_type, headers=_HEADERS)

    return answer


def answered(handler: Callable[[Request], Response]) -> Any:
    """The handler with the headers that every answer has; outside the event loop."""

    async def answer(request: Request) -> Response:
        response = await run_in_threadpool(handler, request)
        response.headers.update(_HEADERS)
        return response

    return answer


def marked(handler: Any) -> Any:
    """The handler, for requests of the page itself."""

    async def answer(request: Request) -> Response:
        if MARK not in request.headers:
            return refused(403, f"the header {MARK} must be there")
        response: Response = await handler(request)
        return response

    return answer


def refused(status: int, detail: str) -> Response:
    """Why there is no answer, as JSON with its status."""
    return JSONResponse({"detail": " ".join(detail.split())}, status, headers=_HEADERS)


def word(request: Request, name: str) -> str:
    """A parameter of the query; ValueError where it is missing."""
    given = request.query_params.get(name)
    if given is None:
        raise ValueError(f"{name} must be given")
    return given


def number(request: Request, name: str) -> int | None:
    """A whole number of the query; None where it is left out or empty."""
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ValueError(f"{name} must be a whole number, got {text[:20]!r}")
    return int(text)
