"""Files written one after the other, noted in their folders' manifests, whatever comes between."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softjpeg.common.files import remove_orphans, write_atomically
from softjpeg.common.image_files import ImageFileError
from softjpeg.common.interrupt import finished_first, told_when_stopped
from softjpeg.common.locks import sole_writer
from softjpeg.corpus.engine import Engine, Entry
from softjpeg.corpus.error_classes import error_class, tried_again
from softjpeg.corpus.folder_state import Keeping, Todo, entries_of
from softjpeg.corpus.manifest import Manifest
from softjpeg.corpus.records import Record
from softjpeg.corpus.samples import Row, failed_row
from softjpeg.corpus.targets import Job, Plan
from softjpeg.corpus.watch import Watch, Watching, watched

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""What keeps all files from being written, not just one."""


@dataclass
class EncodeSummary:
    """What became of the images.

    Attributes:
        written: how many files were written.
        done: how many were there already, made by an earlier run of the same settings.
        bytes_in, bytes_out: of all these images, before and after.
        kept: sources that would not have become smaller, among them.
        requantized: files of a JPEG's own coefficients, among them.
        totals: sums over the images that networks were asked about, of what the manifest says.
        files: each image and its file, where they are asked for.
        failures: the others, each with its error.
        errors: the failures by their class.
        left_out: by the reason, what was not read of the folder.
        remarks: by what is to be said, images that were read and written.
    """

    written: int = 0
    done: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    kept: int = 0
    requantized: int = 0
    totals: Counter[str] = field(default_factory=Counter)
    files: list[tuple[Path, Path]] = field(default_factory=list)
    failures: list[tuple[Path, Exception]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    remarks: dict[str, list[Path]] = field(default_factory=dict)

    def fail(self, path: Path, error: Exception, kind: str) -> None:
        """Count an image that failed.

        Args:
            path: of it.
            error: what is wrong.
            kind: the class of the failure.
        """
        self.failures.append((path, error))
        self.errors[kind] += 1


@dataclass(frozen=True)
class Bookkeeping:
    """What is kept of a run, and what another run makes of it.

    Attributes:
        settings: all that decides the files' bytes besides the images; None for no manifests.
        retry: a class of failures to try again, or "all"; what may pass is tried again anyway.
        verify: compare digests, not only sizes and times.
        list_files: remember each image and its file for the summary.
        watching: how it is watched.
    """

    settings: Mapping[str, Any] | None = None
    retry: str = ""
    verify: bool = False
    list_files: bool = False
    watching: Watching = field(default_factory=Watching)


def write_files(
    plans: Iterable[Plan],
    out: Path,
    engine: Engine,
    books: Bookkeeping,
) -> EncodeSummary:
    """Write a file for each job, and note it in the manifest of its folder.

    Args:
        plans: from `plan_files`, a folder each.
        out: the folder for all of them.
        engine: that encodes.
        books: what is kept of the run.

    Raises:
        OSError: the disk is full or cannot be written to.
        TooManyFailuresError: more images failed than may.
        KeyboardInterrupt: its words say what is kept.
    """
    summary, again = EncodeSummary(), tried_again(books.retry)
    words = told_when_stopped(lambda: _how_to_go_on(summary, books))
    with words, watched(books.watching) as watch:
        for plan in plans:
            _carry_out(plan, engine, books, again, summary, watch)
    if books.settings is not None:
        with finished_first():
            _note_left_out(Manifest(out, books.settings), summary.left_out)
    return summary


def _carry_out(
    plan: Plan,
    engine: Engine,
    books: Bookkeeping,
    again: Set[str],
    summary: EncodeSummary,
    watch: Watch,
) -> None:
    """Write the files of one folder, and its manifest."""
    for reason, paths in plan.left_out.items():
        summary.left_out.setdefault(reason, []).extend(paths)
    for path, error in plan.failures:
        summary.fail(path, error, "other")
    if not plan.jobs:
        return
    remove_orphans(plan.folder)
    manifest = None if books.settings is None else Manifest(plan.folder, books.settings)
    try:
        entries = entries_of(plan.jobs, manifest, again, books.verify)
        for entry, row in engine(entries):
            # A file that is written is recorded, whatever comes in between.
            with finished_first():
                new = _finish(entry, row, manifest, summary, books)
            if new is not None:
                watch.add(new)
        if manifest is not None:
            with finished_first():
                manifest.publish()
    except BaseException:
        if manifest is not None:
            with finished_first():
                manifest.put_together()
        raise


def _finish(
    entry: Entry,
    row: Row | None,
    manifest: Manifest | None,
    summary: EncodeSummary,
    books: Bookkeeping,
) -> Record | None:
    """Write what became of an image, or note why it cannot be written: its new row, if any."""
    rest: Todo | Keeping = entry.rest
    if isinstance(rest, Keeping):
        assert manifest is not None
        manifest.keep(rest.line)
        if rest.job is not None:
            _count(summary, rest.job, rest.line.body, books)
            summary.done += rest.line.body["status"] == "written"
        return None
    assert row is not None
    job = rest.job
    if row.data is not None:
        row = _write(job, row)
    body = {**row.facts, "file": job.file, **rest.source}
    if manifest is not None:
        manifest.add(body)
    summary.written += row.data is not None
    _count(summary, job, body, books)
    return body


def _write(job: Job, row: Row) -> Row:
    assert row.data is not None
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(job.target, row.data)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise
        return failed_row(row.key, job.path, error_class(error), str(error))
    return row


def _count(summary: EncodeSummary, job: Job, body: Record, books: Bookkeeping) -> None:
    if body["status"] == "failed":
        summary.fail(job.path, ImageFileError(body["detail"]), body["error"])
        return
    summary.bytes_in += body["source_bytes"]
    summary.bytes_out += body["bytes"]
    summary.kept += "source_kept" in body
    summary.requantized += "requantized" in body
    if "runs" in body:
        summary.totals.update({"searched": 1, "runs": body["runs"], "kept": body["kept"]})
    if books.list_files:
        summary.files.append((job.path, job.target))
    for remark in body.get("remarks", ()):
        summary.remarks.setdefault(remark, []).append(job.path)


def _note_left_out(manifest: Manifest, left_out: Mapping[str, Sequence[Path]]) -> None:
    """Say in the manifest of the whole what was not read of the source."""
    for line in manifest.lines():
        manifest.keep(line)
    manifest.publish(left_out)


def _how_to_go_on(summary: EncodeSummary, books: Bookkeeping) -> str:
    kept = f"interrupted: {summary.written} files are written, each of them whole"
    if books.settings is None:
        return f"{kept}; the same command writes all again (with --manifest it goes on)"
    return f"{kept} and in the manifest; the same command goes on from there"


@contextmanager
def written_alone(out: Path) -> Iterator[None]:
    """Make a folder, and while inside be the only one to write there, or raise ValueError."""
    out.mkdir(parents=True, exist_ok=True)
    remove_orphans(out)
    with sole_writer(out):
        yield
