"""What an earlier run made of a shard's images: taken over, so that only failures are encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from softjpeg.corpus.digests import sha256
from softjpeg.corpus.engine import Engine, Entry
from softjpeg.corpus.records import Record, is_record, parse_line
from softjpeg.corpus.samples import Row


def reusing(
    engine: Engine,
    rows: Iterable[Mapping[str, Any]],
    files: Iterable[bytes],
    again: Container[str],
) -> Engine:
    """An engine that encodes only what failed earlier, in a source that is as it was.

    A row is taken over where the next of the files has its digest; else the image is encoded.

    Args:
        engine: that encodes.
        rows: of the shard's manifest, one for each image.
        files: the images in the shard that was written, in order.
        again: the classes of failures to try again; the others stay failures.
    """
    earlier, written = iter(rows), _Ahead(files)

    def row_of(entry: Entry) -> Row | None:
        facts = next(earlier, {})
        if not is_record(facts) or facts["key"] != entry.key:
            return None
        if facts["status"] == "failed":
            return None if facts["error"] in again else Row(entry.key, None, facts)
        # Of a sample that was left out for another's failure there is no file.
        file = written.take(facts["sha256"])
        return None if file is None else Row(entry.key, file, facts)

    def run(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Row | None]]:
        passed: deque[tuple[Entry, Row | None]] = deque()

        def left() -> Iterator[Entry]:
            for entry in entries:
                row = row_of(entry) if entry.image else None
                passed.append((entry, row))
                yield entry if row is None else replace(entry, image=False)

        for _, new in engine(left()):
            entry, row = passed.popleft()
            yield entry, row or new

    return run


def manifest_rows(path: Path) -> Generator[Record, None, None]:
    """The lines of a shard's manifest after the first, up to one that is damaged."""
    with path.open("rb") as file, suppress(ValueError):
        next(file)
        yield from map(parse_line, file)


class _Ahead:
    """The next of some files, until it is asked for by its digest."""

    def __init__(self, files: Iterable[bytes]) -> None:
        self._files = iter(files)
        self._next = next(self._files, None)

    def take(self, digest: str) -> bytes | None:
        file = self._next
        if file is None or sha256(file) != digest:
            return None
        self._next = next(self._files, None)
        return file
