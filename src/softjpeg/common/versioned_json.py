"""Versioned JSON files of our own, read strictly: every complaint is one sentence with the file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Set
from pathlib import Path
from typing import Any

MAX_DEPTH = 64
"""Of objects and lists in one another: what is read can be written again, and by other programs."""


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
    try:
        body = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not a {kind}: {error}") from None
    if not isinstance(body, dict) or body.get("format") != f"softjpeg-{kind}":
        raise ValueError(f'{name} is not a {kind}: "format" is not "softjpeg-{kind}"')
    if body.get("version") != version:
        raise ValueError(f"{name}: version must be {version}, got {body.get('version')!r}")
    if missing := sorted(fields - body.keys()):
        raise ValueError(f"{name}: {missing[0]} is missing")
    if unknown := sorted(body.keys() - fields - optional):
        raise ValueError(f"{name}: {unknown[0]} is not a field of a {kind}")
    if _depth(body) > MAX_DEPTH:
        raise ValueError(f"{name}: must be nested no deeper than {MAX_DEPTH} levels")
    if not isinstance(body["provenance"], dict):
        raise ValueError(f"{name}: provenance must be an object, got {body['provenance']!r}")
    return body


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is beyond the numbers of 64 bits")
    return value


def _depth(value: Any) -> int:
    """How deep objects and lists are nested."""
    level, depth = [value], 0
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [x for each in level for x in (each.values() if isinstance(each, dict) else each)]
    return depth


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
