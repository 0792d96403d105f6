"""What of a folder's images is done already: its jobs beside the lines of its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from softjpeg.corpus.digests import file_sha256
from softjpeg.corpus.engine import Entry
from softjpeg.corpus.manifest import Line, Manifest
from softjpeg.corpus.records import is_record
from softjpeg.corpus.targets import Job


@dataclass(frozen=True)
class Todo:
    """An image to be encoded.

    Attributes:
        job: what becomes of it.
        source: bytes and time of its file; nothing where it is gone.
    """

    job: Job
    source: dict[str, int]


@dataclass(frozen=True)
class Keeping:
    """A line of the manifest that stays.

    Attributes:
        line: of it.
        job: of its image; None where that is no longer in the source.
    """

    line: Line
    job: Job | None


def entries_of(
    jobs: Sequence[Job], manifest: Manifest | None, again: Set[str], verify: bool
) -> Iterator[Entry]:
    """The images of a folder, those that are done as what is no image, in the names' order.

    Args:
        jobs: of one folder, in that order.
        manifest: of the folder, where there is one.
        again: the classes of failures that are tried again.
        verify: compare digests, not only sizes and times.
    """
    if manifest is None:
        yield from (Entry(job.name, b"", True, Todo(job, {}), job.path) for job in jobs)
        return
    files = {job.file for job in jobs}
    lines = manifest.lines()
    line = next(lines, None)
    for job in jobs:
        while line is not None and line.body["key"] < job.name:
            yield from _of_others(line, manifest, files)
            line = next(lines, None)
        source = _size_and_time(job.path)
        if line is not None and line.body["key"] == job.name:
            done = _is_done(line, job, source, manifest, again, verify)
            if done:
                yield Entry(job.name, b"", False, Keeping(line, job))
            line = next(lines, None)
            if done:
                continue
        yield Entry(job.name, b"", True, Todo(job, source), job.path)
    while line is not None:
        yield from _of_others(line, manifest, files)
        line = next(lines, None)


def _of_others(line: Line, manifest: Manifest, files: Set[str]) -> Iterator[Entry]:
    """The line of an image that another source had: it stays as long as its file is its own."""
    if line.body["status"] == "written" and line.body.get("file") not in files:
        yield Entry(line.body["key"], b"", False, Keeping(line, None))
    else:
        manifest.drop()


def _is_done(
    line: Line, job: Job, source: dict[str, int], manifest: Manifest, again: Set[str], verify: bool
) -> bool:
    body = line.body
    if not is_record(body) or not manifest.is_of_this_run(line) or body.get("file") != job.file:
        return False
    if not source or any(body.get(name) != value for name, value in source.items()):
        return False
    if body["status"] == "failed":
        return body["error"] not in again
    if _size_and_time(job.target).get("source_bytes") != body["bytes"]:
        return False
    if not verify:
        return True
    there = file_sha256(job.target), file_sha256(job.path)
    return there == (body["sha256"], body["source_sha256"])


def _size_and_time(path: Path) -> dict[str, int]:
    try:
        found = os.stat(path)
    except OSError:
        return {}
    return {"source_bytes": found.st_size, "source_mtime_ns": found.st_mtime_ns}
