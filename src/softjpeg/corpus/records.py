"""Lines of manifests, as they come from outside: what they may hold, and whether it can be used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from softjpeg.common.bounds import MAX_DEPTH
from softjpeg.common.versioned_json import depth_of

Record = dict[str, Any]

FIELDS: Mapping[str, type] = {
    "key": str,
    "status": str,
    "error": str,
    "detail": str,
    "source_sha256": str,
    "source_bytes": int,
    "source_mtime_ns": int,
    "source_kept": bool,
    "requantized": bool,
    "file": str,
    "sha256": str,
    "bytes": int,
    "width": int,
    "height": int,
    "quality": int,
    "seed": int,
    "encoder": str,
    "kept": bool,
    "runs": int,
    "run": str,
}
"""Of an image's line; beside them `remarks`, a list of strings, and `measures`, numbers by name."""

_NEEDED = {
    "written": ("key", "source_sha256", "source_bytes", "sha256", "bytes"),
    "failed": ("key", "error", "detail"),
}


def parse_line(data: bytes) -> Record:
    """The object on a line of JSON, which can be written again.

    Raises:
        ValueError: it is none, is nested too deep, or holds numbers that JSON has not.

    >>> parse_line(b'{"key": "a.png"}')
    {'key': 'a.png'}
    """
    try:
        body = json.loads(data, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"must be nested no deeper than {MAX_DEPTH} levels") from None
    if not isinstance(body, dict):
        raise ValueError(f"must be an object, got {type(body).__name__}")
    if depth_of(body) > MAX_DEPTH:
        raise ValueError(f"must be nested no deeper than {MAX_DEPTH} levels")
    return body


def is_record(body: Mapping[str, Any]) -> bool:
    """Whether a line says all that is read of an image again, each in its type.

    >>> is_record({"key": "a.png", "status": "failed", "error": "io", "detail": "gone"})
    True
    >>> is_record({"key": "a.png", "status": "failed", "error": "io", "detail": 5})
    False
    """
    status = body.get("status")
    if status not in tuple(_NEEDED) or any(name not in body for name in _NEEDED[status]):
        return False
    # A network in the loop says both.
    if "runs" in body and "kept" not in body:
        return False
    remarks, measures = body.get("remarks", []), body.get("measures", {})
    return (
        all(_is_a(kind, body[name]) for name, kind in FIELDS.items() if name in body)
        and isinstance(remarks, list)
        and all(isinstance(remark, str) for remark in remarks)
        and isinstance(measures, dict)
        and all(type(value) in (int, float) for value in measures.values())
    )


def _is_a(kind: type, value: Any) -> bool:
    # A bool is no number of something; a column of a table holds 64 bits.
    return type(value) is kind and not (type(value) is int and value.bit_length() > 63)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"must be a number of 64 bits, got {digits[:80]}")
    return value
