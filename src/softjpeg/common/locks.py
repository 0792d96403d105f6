"""Locks that end with their process, however that ends: who writes where, and what is an orphan."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:
    fcntl = None  # Windows: nothing is locked, and no orphan is taken for one.

_SHOWN = 200
"""Bytes of a lock file that are read: it says who holds it."""


@contextmanager
def sole_writer(path: str | os.PathLike[str]) -> Iterator[None]:
    """While inside, no other call, of this process or another, is inside for the same path.

    A lock is a file ``.softjpeg*.lock`` in the folder, or beside the file, and is gone afterwards.
    Where the file system has no locks, nothing is locked.

    Args:
        path: a folder that exists, or a file in one.

    Raises:
        ValueError: another is inside; the sentence says who.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, sole_writer(folder):
    ...     with sole_writer(folder):
    ...         pass
    Traceback (most recent call last):
    ...
    ValueError: ... is being written by process ...: wait until it is done
    """
    path = Path(path)
    lock = path / ".softjpeg.lock"
    if not path.is_dir():
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        lock = path.parent / f".softjpeg-{name}.lock"
    handle = _take(lock)
    if handle is None:
        holder = _holder(lock) or "another process"
        raise ValueError(f"{path} is being written by {holder}: wait until it is done")
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        if fcntl is None:
            os.close(handle)  # Windows removes no open file.
        # Before it is let go: whoever waits for this very file sees that it is gone.
        with contextlib.suppress(OSError):
            lock.unlink()
        if fcntl is not None:
            os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file for as long as it is open; False where somebody else has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # A file system without locks.
    return True


def _holder(lock: Path) -> str:
    # It may be gone by now.
    with contextlib.suppress(OSError), lock.open("rb") as file:
        return file.read(_SHOWN).decode(errors="replace")
    return ""


def _take(lock: Path) -> int | None:
    """An open and locked file at a path; None where somebody else has it."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        if not try_lock(handle):
            os.close(handle)
            return None
        # Its last holder may have removed it between the two calls.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        os.close(handle)
