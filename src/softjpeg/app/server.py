"""The app over HTTP: the page, pictures in, and what networks make of their files."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from softjpeg.app.answers import answered, marked, number, refused, static, word
from softjpeg.app.archive import archive
from softjpeg.app.held import Bounds, FullError, Held
from softjpeg.app.looking import (
    Wish,
    command,
    compared,
    curves,
    default_file,
    difference,
    preset_of,
    tables_of,
)
from softjpeg.app.readers import Readers
from softjpeg.codec.image import encode
from softjpeg.common.image_set import from_image
from softjpeg.presets.ladder import Ladder
from softjpeg.report.feature_maps import overlay
from softjpeg.report.pictures import png

WHAT = (
    *("original.png", "preset.jpg", "default.jpg", "preset-difference.png"),
    *("default-difference.png", "sensitivity.png", "tables.json"),
)
"""Files that there are of a picture."""

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/charts.js": ("charts.js", "text/javascript"),
}


class AbsentError(ValueError):
    """There is no such picture."""


class App:
    """Answers the page.

    Args:
        ladders: by name.
        readers: the networks.
        bounds: of pictures.
    """

    def __init__(self, ladders: Mapping[str, Ladder], readers: Readers, bounds: Bounds) -> None:
        self.ladders, self.readers, self.held = ladders, readers, Held(bounds)
        # Networks and large pictures one at a time: their memory is bounded.
        self._one = threading.Lock()

    def choices(self, _request: Request) -> Response:
        """What the page lets one choose."""
        return JSONResponse({"networks": self.readers.names, "presets": list(self.ladders)})

    def classes(self, request: Request) -> Response:
        """The names of a network's classes."""
        with self._one:
            return JSONResponse(self.readers.class_names(word(request, "network")))

    async def add(self, request: Request) -> Response:
        """A picture in the body, its number out."""
        most = self.held.bounds.each.bytes
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                return refused(413, f"a picture's file may have {most} bytes at most")
        name = request.query_params.get("name", "picture")[:200]
        place = await run_in_threadpool(self.held.add, name, bytes(body))
        picture = self.held[place]
        words = {"id": place, "name": name, "bytes": len(body)}
        return JSONResponse({**words, "width": picture.width, "height": picture.height})

    def clear(self, _request: Request) -> Response:
        """Let all pictures go."""
        self.held.clear()
        return JSONResponse({})

    def curves(self, request: Request) -> Response:
        """Probability and rank over quality."""
        wish, image = self._wish(request), self._image(request)
        with self._one:
            found = curves(
                self.readers,
                word(request, "network"),
                image,
                number(request, "label"),
                lambda quality: tables_of(self.ladders, Wish(wish.preset, quality, wish.side)),
            )
        return JSONResponse(found)

    def compare(self, request: Request) -> Response:
        """Both files at equal bytes, as a network reads them."""
        wish, image = self._wish(request), self._image(request)
        tables = tables_of(self.ladders, wish)
        with self._one:
            label = number(request, "label")
            found = compared(self.readers, word(request, "network"), image, label, tables)
        return JSONResponse({**found, "command": command(self._picture(request).name, wish)})

    def picture(self, request: Request) -> Response:
        """One of `WHAT`."""
        what, image = request.url.path.rpartition("/")[2], self._image(request)
        with self._one:
            if what == "original.png":
                return Response(png(from_image(image)), media_type="image/png")
            if what == "sensitivity.png":
                return Response(self._sensitivity(request), media_type="image/png")
            tables = tables_of(self.ladders, self._wish(request))
            if what == "tables.json":
                return Response(preset_of(tables, image).to_json(), media_type="application/json")
            written = default_file if what.startswith("default") else _preset_file
            data = written(image, tables)
        if what.endswith(".jpg"):
            return Response(data, media_type="image/jpeg")
        return Response(png(difference(image, data)), media_type="image/png")

    def archive(self, request: Request) -> Response:
        """All pictures' files and tables, and what a network makes of them."""
        tables = tables_of(self.ladders, self._wish(request))
        with self._one:
            data = archive(self.held, self.readers, word(request, "network"), tables)
        return Response(data, media_type="application/zip")

    def _sensitivity(self, request: Request) -> bytes:
        network, label = word(request, "network"), number(request, "label")
        image = from_image(self._image(request))
        scores = self.readers.scores(network, [image])[0]
        target = int(scores.argmax()) if label is None else label
        if not 0 <= target < len(scores):
            raise ValueError(f"label must be from 0 to {len(scores) - 1}, got {target}")
        lengths = self.readers.sensitivity(network, image, target)
        # A few pixels would outshine all others.
        strong = np.quantile(lengths.numpy(), 0.99)
        return png(overlay(image, lengths, float(strong)))

    def _picture(self, request: Request) -> Any:
        try:
            return self.held[request.path_params["number"]]
        except KeyError:
            place = request.path_params["number"]
            raise AbsentError(f"picture {place} is not held: add it again") from None

    def _image(self, request: Request) -> Any:
        self._picture(request)
        return self.held.image(request.path_params["number"])

    def _wish(self, request: Request) -> Wish:
        quality = number(request, "quality")
        side = number(request, "side")
        if side is not None and not 16 <= side <= 65500:
            raise ValueError(f"side must be from 16 to 65500 pixels, got {side}")
        return Wish(word(request, "preset"), 50 if quality is None else quality, side)


def make_app(
    ladders: Mapping[str, Ladder], readers: Readers, bounds: Bounds | None = None
) -> Starlette:
    """The application, for any ASGI server that listens on this machine alone.

    Args:
        ladders: by name.
        readers: the networks.
        bounds: of pictures; None for the usual ones.
    """
    app = App(ladders, readers, bounds or Bounds())
    pictures = "/api/pictures/{number:int}"
    return Starlette(
        routes=[
            *(Route(path, static(*file)) for path, file in _FILES.items()),
            Route("/api/choices", answered(app.choices)),
            Route("/api/classes", answered(app.classes)),
            Route("/api/pictures", marked(app.add), methods=["POST"]),
            Route("/api/clear", marked(answered(app.clear)), methods=["POST"]),
            Route("/api/archive.zip", answered(app.archive)),
            Route(f"{pictures}/curves", answered(app.curves)),
            Route(f"{pictures}/compare", answered(app.compare)),
            *(Route(f"{pictures}/{what}", answered(app.picture), name=what) for what in WHAT),
        ],
        # Else a name that leads here would let other sites' pages read what is held.
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
        ],
        exception_handlers={
            FullError: lambda _, error: refused(413, str(error)),
            AbsentError: lambda _, error: refused(404, str(error)),
            ValueError: lambda _, error: refused(422, str(error)),
            ClientDisconnect: lambda _, error: refused(400, "the picture did not arrive"),
        },
    )


def _preset_file(image: Any, tables: Any) -> bytes:
    return encode(image, tables, metadata=False)
