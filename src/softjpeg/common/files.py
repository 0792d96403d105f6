"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from softjpeg.common.locks import fcntl, try_lock

_PREFIX, _SUFFIX = ".softjpeg", ".tmp"
"""Of temporary files: short, for the file's own name may be as long as names can be."""


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a temporary name beside `path`, flush it to disk, and rename it.

    Raises:
        OSError: the folder does not exist, the disk is full, ...; it names the file, and `path` is
            then as it was.
        ValueError: `path` is there and is no regular file, but a device, a pipe or a folder.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "x", b"abc")
    ...     (Path(folder) / "x").read_bytes()
    b'abc'
    """
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new file that, where nothing is raised inside, is flushed to disk and gets its name.

    Raises:
        OSError, ValueError: as `write_atomically`.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_file(Path(folder) / "x") as file:
    ...         _ = file.write(b"abc")
    ...         os.path.exists(Path(folder) / "x")
    ...     (Path(folder) / "x").read_bytes()
    False
    b'abc'
    """
    path = Path(path)
    if problem := not_replaceable(path):
        raise ValueError(f"{path}: {problem}")
    try:
        with _temporary_file(path.parent) as (file, temporary):
            yield file
            file.flush()
            os.fsync(file.fileno())
            # Private files are made; a user expects the usual permissions.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            if fcntl is None:
                file.close()  # Windows renames no open file.
            temporary.replace(path)
    except OSError as error:
        # Writing to an open file fails without its name, and elsewhere it would be the temporary;
        # without a number it is not the system's, but somebody's sentence.
        unnamed = error.filename is None and error.errno is not None
        if unnamed or Path(os.fsdecode(error.filename or "")).suffix == _SUFFIX:
            error.filename = str(path)
            del error.filename2  # None would be shown as a name.
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_atomically` of a text in UTF-8; bytes of file names that are no UTF-8 are escaped.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "x", "caf\\udce9")
    ...     (Path(folder) / "x").read_bytes()
    b'caf\\\\udce9'
    """
    write_atomically(path, text.encode(errors="backslashreplace"))


def not_replaceable(path: Path) -> str:
    """Why a path cannot become a file of ours; empty where it can."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if stat.S_ISDIR(mode):
        return "this is a folder, not a file"
    return "" if stat.S_ISREG(mode) else "this is no regular file, and is left alone"


def remove_orphans(folder: Path) -> None:
    """Remove the temporary files and locks that processes left in a folder when they were killed.

    Those of processes that live are locked, and stay.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     orphan = Path(folder, ".softjpeg-abc.tmp")
    ...     orphan.touch()
    ...     remove_orphans(Path(folder))
    ...     orphan.exists()
    False
    """
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        found = [entry.path for entry in os.scandir(folder) if _is_temporary(entry)]
        for path in found:
            # Somebody else may be removing it, too.
            with contextlib.suppress(OSError):
                handle = os.open(path, os.O_RDWR)
                try:
                    if try_lock(handle):
                        os.unlink(path)
                finally:
                    os.close(handle)


def _is_temporary(entry: os.DirEntry[str]) -> bool:
    named = entry.name.startswith(_PREFIX) and entry.name.endswith((_SUFFIX, ".lock"))
    return named and entry.is_file(follow_symlinks=False)


@contextmanager
def _temporary_file(folder: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file, open and locked, that is removed unless it gets another name."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=f"{_PREFIX}-", suffix=_SUFFIX)
        # Between the two, somebody may have taken it for an orphan.
        if try_lock(handle) and os.path.exists(name):
            break
        os.close(handle)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, Path(name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
