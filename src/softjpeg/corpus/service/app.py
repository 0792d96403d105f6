"""The service as an ASGI application: one image, a batch, and its health."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from softjpeg.corpus.service.batch import BatchResponse
from softjpeg.corpus.service.bodies import MULTIPART, TAR, images_of, read_body
from softjpeg.corpus.service.metrics import Metrics
from softjpeg.corpus.service.openapi import description
from softjpeg.corpus.service.settings import Encoded, Order, Refusal, Settings, parse_order
from softjpeg.corpus.service.workers import Held, Take, Workers

RETRY_SECONDS = 1
"""When a client that was answered 429 or 503 is to try again."""


class Service:
    """Answers requests.

    Args:
        settings: what is served, and within which limits.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.held = Held(settings.queue_bytes)
        self.metrics = Metrics(self.held)
        self.workers: Workers | None = None

    @asynccontextmanager
    async def running(self, _app: Starlette) -> AsyncIterator[None]:
        """While inside, processes are there that encode; they are ended behind all requests."""
        workers = Workers(self.settings)
        try:
            await workers.start()
            self.workers = workers
            yield
        finally:
            self.workers = None
            workers.stop()

    async def encode(self, request: Request) -> Response:
        """One image in the body, a JPEG file out."""
        order = self._order(request)
        if isinstance(order, Refusal):
            return refused(order)
        kind = _media_type(request)
        if not (kind.startswith("image/") or kind == "application/octet-stream"):
            detail = f"Content-Type must be image/... or application/octet-stream, got {kind!r}"
            return refused(Refusal(415, "request", detail))
        with self.held.request() as take:
            body = await self._body(request, take, self.settings.limits.bytes)
            answer = body if isinstance(body, Refusal) else await self.image(body, "image", order)
        if isinstance(answer, Refusal):
            return refused(answer)
        return Response(answer.data, media_type="image/jpeg", headers=_facts(answer, body))

    async def batch(self, request: Request) -> Response:
        """Many images as tar or form, a tar archive of .jpg files and a manifest out."""
        order = self._order(request)
        if isinstance(order, Refusal):
            return refused(order)
        kind = _media_type(request)
        if kind not in (TAR, MULTIPART):
            return refused(
                Refusal(415, "request", f"Content-Type must be {TAR} or {MULTIPART}, got {kind!r}")
            )
        holding = self.held.request()
        take = holding.__enter__()
        try:
            body = await self._body(request, take, self.settings.queue_bytes)
            if isinstance(body, Refusal):
                answer: Response = refused(body)
            else:
                images = await images_of(body, kind, request.headers["content-type"])
                parallel = self.settings.workers + 1
                answer = BatchResponse(images, order, self.image, parallel, holding)
        except ValueError as error:
            answer = refused(Refusal(422, "decode", str(error)))
        except BaseException:
            holding.__exit__(None, None, None)
            raise
        if not isinstance(answer, BatchResponse):
            holding.__exit__(None, None, None)
        return answer

    async def image(self, data: bytes, name: str, order: Order) -> Encoded | Refusal:
        """Encode an image, and count it.

        Args:
            data: of an image file.
            name: what sentences call it.
            order: how it is to be encoded.
        """
        if self.workers is None:
            return Refusal(503, "busy", "the service is starting or stopping: try again later")
        start = time.perf_counter()
        answer = await self.workers.encode(data, name, order)
        self.metrics.seconds.observe(time.perf_counter() - start)
        self.metrics.count(len(data), answer)
        return answer

    async def live(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("live\n")

    async def ready(self, _request: Request) -> Response:
        """There are processes that encode, and room for an image."""
        if self.workers is None:
            return refused(Refusal(503, "busy", "the service is starting or stopping"))
        return PlainTextResponse("ready\n")

    async def numbers(self, _request: Request) -> Response:
        """In Prometheus' text format."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def openapi(self, _request: Request) -> Response:
        """What this service answers, as OpenAPI 3.1."""
        return JSONResponse(description(self.settings))

    def _order(self, request: Request) -> Order | Refusal:
        if self.settings.token:
            given = request.headers.get("authorization", "")
            wanted = f"Bearer {self.settings.token}"
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                return Refusal(401, "request", "the Authorization header must bear the token")
        if request.headers.get("content-encoding", "identity") != "identity":
            return Refusal(415, "request", "the body must not be compressed once more")
        query = request.query_params.multi_items()
        words = dict(query)
        if len(words) < len(query):
            return Refusal(400, "request", "the query must hold each parameter once")
        return parse_order(words, self.settings.presets)

    async def _body(self, request: Request, take: Take, most: int) -> bytes | Refusal:
        return await read_body(request, self.held, take, most, self.settings.body_seconds)


def make_app(settings: Settings) -> Starlette:
    """The application that answers by these settings, for any ASGI server."""
    service = Service(settings)
    return Starlette(
        routes=[
            Route("/v1/encode", service.encode, methods=["POST"]),
            Route("/v1/batch", service.batch, methods=["POST"]),
            Route("/livez", service.live),
            Route("/readyz", service.ready),
            Route("/metrics", service.numbers),
            Route("/openapi.json", service.openapi),
        ],
        lifespan=service.running,
    )


def refused(refusal: Refusal) -> Response:
    """Why there is no file, as JSON with its status."""
    headers = {}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.status in (429, 503):
        headers["Retry-After"] = str(RETRY_SECONDS)
    words = {"error": refusal.error, "detail": refusal.detail}
    return JSONResponse(words, refusal.status, headers=headers)


def _facts(answer: Encoded, body: object) -> Mapping[str, str]:
    assert isinstance(body, bytes)
    return {
        "ETag": f'"{answer.sha256}"',
        "X-Source-Bytes": str(len(body)),
        "X-Preset-Digest": answer.preset_sha256,
        **({"X-Remarks": "; ".join(answer.remarks)} if answer.remarks else {}),
        **({"X-Quality": str(answer.quality)} if answer.quality is not None else {}),
    }


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
