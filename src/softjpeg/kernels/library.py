"""The C kernels as `ctypes` libraries, and the one question whether they are there.

``SOFTJPEG_KERNELS=0`` in the environment leaves all kernels out, and the functions that define them
run instead; so does `pure_functions`.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_PURE = ContextVar("pure", default=False)
_OPENED: dict[str, ctypes.CDLL | None] = {}


def is_available(name: str) -> bool:
    """Whether a library, "_coder", "_decisions" or "_layer", was built and is wanted.

    >>> is_available("_missing")
    False
    """
    return not switched_off() and opened(name) is not None


def switched_off() -> bool:
    """Whether the environment, or `pure_functions`, leaves the kernels out."""
    return _PURE.get() or os.environ.get("SOFTJPEG_KERNELS") == "0"


@contextmanager
def pure_functions() -> Iterator[None]:
    """Within it everything is made of PyTorch's and NumPy's own operators, as other programs are.

    >>> with pure_functions():
    ...     is_available("_layer")
    False
    """
    token = _PURE.set(True)
    try:
        yield
    finally:
        _PURE.reset(token)


def library(name: str) -> ctypes.CDLL:
    """A library to call, wanted or not.

    Raises:
        RuntimeError: it was not built with this softjpeg.
    """
    kernels = opened(name)
    if kernels is None:
        raise RuntimeError(f"the C kernels {name} were not built with this softjpeg")
    return kernels


def opened(name: str) -> ctypes.CDLL | None:
    """A module of `softjpeg.kernels` as a library; None unless it was built from these sources."""
    # Not `functools.cache`, which PyTorch's compiler does not look through.
    if name not in _OPENED:
        _OPENED[name] = _open(name)
    return _OPENED[name]


def _open(name: str) -> ctypes.CDLL | None:
    try:
        module = importlib.import_module(f"softjpeg.kernels.{name}")
        kernels = ctypes.CDLL(module.__file__)
    except (ImportError, OSError):
        return None
    folder = Path(__file__).parent / "c"
    # A checkout may have gone on since it was installed; called otherwise than it was built, a
    # library would crash.
    if folder.is_dir() and sources_digest(folder) != getattr(module, "sources", None):
        warnings.warn(
            f"softjpeg.kernels.{name} is older than its sources and is not used: install again",
            stacklevel=3,
        )
        return None
    return kernels


def sources_digest(folder: Path) -> str:
    """A digest of the C files of a folder, which a library built from them carries."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
