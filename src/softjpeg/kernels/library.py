"""The C kernels as `ctypes` libraries; None where they were not built.

``SOFTJPEG_KERNELS=0`` in the environment leaves them out, and the pure functions run instead.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os


@functools.cache
def library(*names: str) -> ctypes.CDLL | None:
    """The first of these modules of `softjpeg.kernels` that was built, as a library.

    >>> library("_missing") is None
    True
    """
    if os.environ.get("SOFTJPEG_KERNELS") == "0":
        return None
    for name in names:
        try:
            module = importlib.import_module(f"softjpeg.kernels.{name}")
            return ctypes.CDLL(module.__file__)
        except (ImportError, OSError):
            continue
    return None
