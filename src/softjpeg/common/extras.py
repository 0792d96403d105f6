"""Modules that an extra of softjpeg brings: imported, or named with what to do."""

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
        raise ImportError(f"{name} cannot be imported ({error}): {remedy(extra)}") from error


def remedy(extra: str) -> str:
    """What to do where an extra of softjpeg is not installed: the end of a sentence.

    >>> remedy("report")
    'run pip install "softjpeg[report]"'
    """
    return f"run {installing(extra)}"


def installing(extra: str) -> str:
    """The command that installs softjpeg with extras.

    >>> installing("hub,models")
    'pip install "softjpeg[hub,models]"'
    """
    return f'pip install "softjpeg[{extra}]"'
