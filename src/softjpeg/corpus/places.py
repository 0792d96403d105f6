"""Where shards are read and written: a folder, or any place that fsspec knows by its URL."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import IO, Any

from softjpeg.common.extras import import_extra
from softjpeg.common.files import atomic_file, remove_orphans
from softjpeg.corpus.parquet_shards import PARQUET_SUFFIXES
from softjpeg.corpus.tar_shards import TAR_SUFFIXES
from softjpeg.corpus.writing import written_alone

_LINE = 1 << 16
"""Bytes of the longest line that is looked at."""


def is_url(place: str) -> bool:
    """Whether it names a place by a URL, as ``s3://bucket/shards``, and not a path."""
    return "://" in place


def is_shard(name: str) -> bool:
    """Whether a file of this name is a shard; hidden ones are none."""
    last = name.rpartition("/")[2]
    return last.endswith((*TAR_SUFFIXES, *PARQUET_SUFFIXES)) and not last.startswith(".")


class Place(ABC):
    """Files by their names, which have forward slashes."""

    @abstractmethod
    def shards(self, besides: Place | None = None) -> Iterator[str]:
        """The names of shards, in a fixed order; what lies in another place is left out."""

    @abstractmethod
    def version(self, name: str) -> dict[str, Any]:
        """ "source_bytes", and what else changes when the file does; OSError where it is gone."""

    @abstractmethod
    def local(self, name: str) -> AbstractContextManager[Path]:
        """While inside, a path under which the file can be read."""

    @abstractmethod
    def first_line(self, name: str) -> bytes:
        """Of a file, without reading the rest; OSError where it is gone."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A new file that gets its name whole, where nothing is raised inside."""

    @abstractmethod
    def alone(self) -> AbstractContextManager[None]:
        """While inside be the only one to write here, where that can be known."""

    @abstractmethod
    def is_same(self, name: str, other: Place) -> bool:
        """Whether the file of that name is the other place's."""

    @abstractmethod
    def __str__(self) -> str: ...


def place_of(place: str | Path) -> Place:
    """The place that a path or a URL names.

    Raises:
        ValueError: no such kind of URL.
        ImportError: fsspec is not installed, or what it needs for this kind.
    """
    return _Remote(str(place)) if is_url(str(place)) else _Local(Path(place))


class _Local(Place):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.parent if path.is_file() else path

    def __str__(self) -> str:
        return str(self.path)

    def shards(self, besides: Place | None = None) -> Iterator[str]:
        if self.path.is_file():
            yield from filter(is_shard, [self.path.name])
            return
        out = besides.root.resolve() if isinstance(besides, _Local) else None
        for folder, folders, names in os.walk(self.root):
            here = Path(folder)
            folders[:] = sorted(x for x in folders if out is None or (here / x).resolve() != out)
            for name in filter(is_shard, sorted(names)):
                yield (here / name).relative_to(self.root).as_posix()

    def version(self, name: str) -> dict[str, Any]:
        found = (self.root / name).stat()
        return {"source_bytes": found.st_size, "source_mtime_ns": found.st_mtime_ns}

    def local(self, name: str) -> AbstractContextManager[Path]:
        return nullcontext(self.root / name)

    def first_line(self, name: str) -> bytes:
        with (self.root / name).open("rb") as file:
            return file.readline(_LINE)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(target.parent)
        with atomic_file(target) as file:
            yield file

    def alone(self) -> AbstractContextManager[None]:
        return written_alone(self.root)

    def is_same(self, name: str, other: Place) -> bool:
        there = other.root / name if isinstance(other, _Local) else None
        return there is not None and there.exists() and there.samefile(self.root / name)


class _Remote(Place):
    """Shards are copied here to be read, and there once they are whole."""

    def __init__(self, url: str) -> None:
        fsspec = import_extra("fsspec", "corpus")
        self.url = url
        self.fs, root = fsspec.core.url_to_fs(url)
        self.root = root.rstrip("/")

    def __str__(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def shards(self, besides: Place | None = None) -> Iterator[str]:
        out = f"{besides.root}/" if isinstance(besides, _Remote) else None
        with self._named(""):
            if self.fs.isfile(self.root):
                self.root, _, name = self.root.rpartition("/")
                found = [self._path(name)]
            else:
                found = sorted(self.fs.find(self.root))
        for path in found:
            if out is None or out == f"{self.root}/" or not path.startswith(out):
                yield from filter(is_shard, [path[len(self.root) + 1 :]])

    def version(self, name: str) -> dict[str, Any]:
        with self._named(name):
            size = self.fs.info(self._path(name))["size"]
            return {"source_bytes": size, "source_version": self.fs.ukey(self._path(name))}

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="softjpeg-") as folder:
            path = Path(folder, PurePosixPath(name).name)
            with self._named(name):
                self.fs.get_file(self._path(name), str(path))
            try:
                yield path
            except ValueError as error:
                if str(path) not in str(error):
                    raise
                there = f"{self.url.rstrip('/')}/{name}"
                raise ValueError(str(error).replace(str(path), there)) from error

    def first_line(self, name: str) -> bytes:
        with self._named(name):
            found: bytes = self.fs.cat_file(self._path(name), start=0, end=_LINE)
        return found.partition(b"\n")[0]

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        with tempfile.TemporaryDirectory(prefix="softjpeg-") as folder:
            path = Path(folder, PurePosixPath(name).name)
            with path.open("w+b") as file:
                yield file
            with self._named(name):
                self.fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
                self.fs.put_file(str(path), self._path(name))

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def is_same(self, name: str, other: Place) -> bool:
        return isinstance(other, _Remote) and (self.fs, self.root) == (other.fs, other.root)

    @contextmanager
    def _named(self, name: str) -> Generator[None, None, None]:
        """Whatever a client raises is an OSError that names the file."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{self.url.rstrip('/')}/{name}: {error}") from error
