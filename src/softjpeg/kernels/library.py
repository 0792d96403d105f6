"""The C kernels as `ctypes` libraries; None where they were not built.

``SOFTJPEG_KERNELS=0`` in the environment leaves them out, and the pure functions run instead.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib
import os
import warnings
from pathlib import Path


def library(name: str) -> ctypes.CDLL | None:
    """A module of `softjpeg.kernels` as a library; None unless it was built and is wanted.

    >>> library("_missing") is None
    True
    """
    return None if switched_off() else opened(name)


def switched_off() -> bool:
    """Whether the environment leaves the kernels out."""
    return os.environ.get("SOFTJPEG_KERNELS") == "0"


def sources_digest(folder: Path) -> str:
    """A digest of the C files of a folder, which a library built from them carries."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@functools.cache
def opened(name: str) -> ctypes.CDLL | None:
    """A module of `softjpeg.kernels` as a library, wanted or not; None unless it was built."""
    try:
        module = importlib.import_module(f"softjpeg.kernels.{name}")
        opened = ctypes.CDLL(module.__file__)
    except (ImportError, OSError):
        return None
    folder = Path(__file__).parent / "c"
    # A checkout may have gone on since it was installed; called otherwise than it was built, a
    # library would crash.
    if folder.is_dir() and sources_digest(folder) != getattr(module, "sources", None):
        warnings.warn(
            f"softjpeg.kernels.{name} is older than its sources and is not used: install again",
            stacklevel=2,
        )
        return None
    return opened
