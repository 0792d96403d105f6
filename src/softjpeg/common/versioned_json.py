"""Versioned JSON files of our own, read strictly: every complaint is one sentence with the file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Any

from softjpeg.common.bounds import MAX_DEPTH, MAX_DIGITS
from softjpeg.common.brief import brief


def read_text(path: Path, name: str | os.PathLike[str], kind: str, limit: int) -> str:
    """The text of a file.

    Args:
        path: of the file.
        name: what errors call it.
        kind: what it should be: "preset", "ladder" or "preset or ladder".
        limit: the most bytes that are read.

    Raises:
        ValueError: it cannot be read, is larger, or is not UTF-8 text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise ValueError(f"{name} is not a {kind}: it is larger than {limit} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{name} is not a {kind}: it is not UTF-8 text") from None


def parse(
    text: str, name: str, kind: str, version: int, fields: Set[str], optional: Set[str]
) -> dict[str, Any]:
    """The object in a text, of "format" ``softjpeg-KIND``, checked but for its fields' values.

    Args:
        text: JSON.
        name: what errors call it.
        kind: "preset" or "ladder".
        version: that "version" must be.
        fields: that it must have, "format", "version" and "provenance" among them.
        optional: that it may have.

    Raises:
        ValueError: not JSON, another format or version, a field missing or unknown.

    >>> parse("[1]", "a.json", "preset", 1, {"format"}, set())
    Traceback (most recent call last):
    ...
    ValueError: a.json is not a preset: "format" is not "softjpeg-preset"
    """
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a {kind}'s text, got {type(text).__name__}")
    try:
        body = json.loads(text, parse_constant=_Beyond, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not a {kind}: {error}") from None
    if not isinstance(body, dict) or body.get("format") != f"softjpeg-{kind}":
        raise ValueError(f'{name} is not a {kind}: "format" is not "softjpeg-{kind}"')
    if body.get("version") != version:
        raise ValueError(f"{name}: version must be {version}, got {brief(body.get('version'))}")
    if missing := sorted(fields - body.keys()):
        raise ValueError(f"{name}: {missing[0]} is missing")
    if unknown := sorted(body.keys() - fields - optional):
        raise ValueError(f"{name}: {unknown[0][:80]} is not a field of a {kind}")
    if depth_of(body) > MAX_DEPTH:
        raise ValueError(f"{name}: must be nested no deeper than {MAX_DEPTH} levels")
    for path, value in _values(body):
        if isinstance(value, _Beyond):
            raise ValueError(f"{name}: {path[:80]} must be a number of 64 bits, got {value.digits}")
    if not isinstance(body["provenance"], dict):
        raise ValueError(f"{name}: provenance must be an object, got {brief(body['provenance'])}")
    return body


class _Beyond:
    """What stands where a number should, until its path is known."""

    def __init__(self, digits: str) -> None:
        self.digits = brief(digits).strip("'")


def _finite(digits: str) -> float | _Beyond:
    value = float(digits)
    return value if math.isfinite(value) else _Beyond(digits)


def _whole(digits: str) -> int | _Beyond:
    return int(digits) if len(digits) <= MAX_DIGITS else _Beyond(digits)


def _values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What stands in objects and lists, and where, as ``a.b[0]``."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, f"{path}[{index}]")
    else:
        yield path, value


def check_length(text: str, written: Callable[[], str], limit: int) -> None:
    """Raise ValueError where what was read is too long once it is written as we write it.

    Args:
        text: what was read.
        written: gives it as it is written.
        limit: the most bytes that are read.

    >>> check_length("1" * 900, lambda: " " * 1001, 1000)
    Traceback (most recent call last):
    ...
    ValueError: it takes 1001 bytes when it is written, more than 1000
    """
    # No character becomes more than a line of one, at the deepest place.
    if len(text) * (2 * MAX_DEPTH + 8) > limit and len(written()) > limit:
        raise ValueError(f"it takes {len(written())} bytes when it is written, more than {limit}")


def depth_of(value: Any) -> int:
    """How deep objects and lists are nested in one another.

    >>> depth_of({"a": [1, 2]})
    2
    """
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [x for each in level for x in (each.values() if isinstance(each, dict) else each)]
    return depth
