"""The C kernels as `ctypes` libraries; None where they were not built.

``SOFTJPEG_KERNELS=0`` in the environment leaves them out, and the pure functions run instead.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os


def library(name: str) -> ctypes.CDLL | None:
    """A module of `softjpeg.kernels` as a library; None unless it was built and is wanted.

    >>> library("_missing") is None
    True
    """
    return None if switched_off() else _opened(name)


def switched_off() -> bool:
    """Whether the environment leaves the kernels out."""
    return os.environ.get("SOFTJPEG_KERNELS") == "0"


@functools.cache
def _opened(name: str) -> ctypes.CDLL | None:
    try:
        module = importlib.import_module(f"softjpeg.kernels.{name}")
        return ctypes.CDLL(module.__file__)
    except (ImportError, OSError):
        return None
