"""Modules that an extra of softjpeg brings."""

from __future__ import annotations

import importlib
from typing import Any


def import_extra(name: str, extra: str) -> Any:
    """A module of an optional dependency.

    Raises:
        ImportError: it is not installed; the sentence names the extra of softjpeg that brings it.

    >>> import_extra("json", extra="any").__name__
    'json'
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        wanted = f'pip install "softjpeg[{extra}]"'
        raise ImportError(f"{name} cannot be imported ({error}): run {wanted}") from error
