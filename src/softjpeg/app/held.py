"""Pictures that were given to the app: held in memory, within bounds, until they are let go."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import lru_cache

from PIL import Image

from softjpeg.common.image_files import NamedBytes, read_upright
from softjpeg.corpus.limits import Limits


class FullError(ValueError):
    """No more pictures are held."""


@dataclass(frozen=True)
class Bounds:
    """What is taken.

    Attributes:
        each: of one picture.
        pictures: at a time.
        bytes: of all their files.
    """

    each: Limits = field(default_factory=lambda: Limits(pixels=24_000_000, bytes=32 << 20))
    pictures: int = 200
    bytes: int = 256 << 20


@dataclass(frozen=True)
class Picture:
    """One of them: its name, the bytes of its file, and its size in pixels."""

    name: str
    data: bytes
    width: int
    height: int


class Held:
    """Pictures by number.

    Args:
        bounds: of more, `FullError`.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._pictures: dict[int, Picture] = {}
        self._lock = threading.Lock()
        self._next = 0
        # A slider asks for the same picture again and again.
        self.image = lru_cache(maxsize=2)(self._decoded)

    def add(self, name: str, data: bytes) -> int:
        """Hold a picture; its number.

        Raises:
            ImageFileError: it is none, or beyond a limit; it is named.
            FullError: there is no room.
        """
        self.bounds.each.check(NamedBytes(data, name))
        image, _ = read_upright(NamedBytes(data, name))
        with self._lock:
            held = sum(len(each.data) for each in self._pictures.values())
            if len(self._pictures) >= self.bounds.pictures or held + len(data) > self.bounds.bytes:
                raise FullError(
                    f"{name} finds no room: {self.bounds.pictures} pictures and "
                    f"{self.bounds.bytes} bytes are held at most; clear the others"
                )
            self._next += 1
            self._pictures[self._next] = Picture(name, data, image.width, image.height)
            return self._next

    def __getitem__(self, number: int) -> Picture:
        """KeyError where there is none."""
        with self._lock:
            return self._pictures[number]

    def numbers(self) -> list[int]:
        """Of all that are held, oldest first."""
        with self._lock:
            return list(self._pictures)

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._pictures.clear()
        self.image.cache_clear()

    def _decoded(self, number: int) -> Image.Image:
        picture = self[number]
        return read_upright(NamedBytes(picture.data, picture.name))[0].convert("RGB")
