"""What a service was started with, and what each request asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from softjpeg.corpus.limits import Limits

ServiceMode = Literal["hard", "rdo"]
"""How coefficients become integers: the modes that draw nothing."""

MOST_BYTES = 10**9
"""That a request's `max_bytes` may say."""


@dataclass(frozen=True)
class Settings:
    """Of a service.

    Attributes:
        presets: by the names that requests may use, files, built-in names or "default".
        limits: of each image.
        token: that requests must bear; empty for none.
        workers: processes that encode.
        queue_bytes: of all request bodies that are held at a time; of more, 429.
        body_seconds: until a body must have arrived.

    Raises:
        ValueError: no preset, or a number that is not above 0.
    """

    presets: Mapping[str, str]
    limits: Limits = field(default_factory=Limits)
    token: str = field(default="", repr=False)
    workers: int = 1
    queue_bytes: int = 1 << 26
    body_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not self.presets:
            raise ValueError("presets must name at least one, got none")
        for name in ("workers", "queue_bytes", "body_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Order:
    """How a request wants its images encoded.

    Attributes:
        spec: the preset's file, built-in name, or "default".
        quality: 1..100, of a ladder or of "default".
        mode: see `ServiceMode`.
        max_bytes: of the file: the quality is then the highest that fits, at most this one.
    """

    spec: str
    quality: int | None = None
    mode: ServiceMode = "hard"
    max_bytes: int | None = None


@dataclass(frozen=True)
class Encoded:
    """A file, the SHA-256 of it and of the preset's JSON, remarks, and the quality if chosen."""

    data: bytes
    sha256: str
    preset_sha256: str
    remarks: tuple[str, ...] = ()
    quality: int | None = None


@dataclass(frozen=True)
class Refusal:
    """Why there is no file: an HTTP status, an error class, and a sentence."""

    status: int
    error: str
    detail: str


def parse_order(words: Mapping[str, str], presets: Mapping[str, str]) -> Order | Refusal:
    """What a query asks for.

    Args:
        words: its parameters: preset, quality, mode, max_bytes.
        presets: by name, those that are served.

    >>> parse_order({"preset": "default", "quality": "30"}, {"default": "default"})
    Order(spec='default', quality=30, mode='hard', max_bytes=None)
    >>> parse_order({"preset": "/etc/passwd"}, {"default": "default"}).detail
    "preset must be one of default, got '/etc/passwd'"
    """
    unknown = sorted({*words} - {"preset", "quality", "mode", "max_bytes"})
    preset, quality, mode = words.get("preset"), words.get("quality"), words.get("mode", "hard")
    most = words.get("max_bytes")
    detail = ""
    if unknown:
        detail = (
            f"the query must hold preset, quality, mode and max_bytes alone, got {unknown[0]!r}"
        )
    elif preset not in presets:
        detail = f"preset must be one of {', '.join(presets)}, got {preset!r}"
    elif mode not in get_args(ServiceMode):
        detail = f"mode must be {' or '.join(get_args(ServiceMode))}, got {mode!r}"
    elif quality is not None and not _is_within(quality, 100):
        detail = f"quality must be an integer from 1 to 100, got {quality!r}"
    elif most is not None and not _is_within(most, MOST_BYTES):
        detail = f"max_bytes must be an integer from 1 to {MOST_BYTES}, got {most!r}"
    if detail:
        return Refusal(400, "request", detail)
    number, limit = (None if word is None else int(word) for word in (quality, most))
    return Order(presets[str(preset)], number, "rdo" if mode == "rdo" else "hard", limit)


def _is_within(word: str, most: int) -> bool:
    """Whether it is a number from 1 to so many."""
    digits = word.isascii() and word.isdigit() and len(word) <= len(str(most))
    return digits and 1 <= int(word) <= most
