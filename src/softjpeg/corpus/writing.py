"""Files written one after the other, noted in the manifest, whatever comes in between."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softjpeg.common.files import remove_orphans, write_atomically
from softjpeg.common.interrupt import finished_first, told_when_stopped
from softjpeg.common.locks import sole_writer
from softjpeg.common.progress import track
from softjpeg.corpus.manifest import Manifest, Record, sha256
from softjpeg.corpus.targets import Job, Plan

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""What keeps all files from being written, not just one."""

FileAndFacts = tuple[bytes, Mapping[str, Any]]
"""A file, and what the manifest says of it."""


@dataclass
class EncodeSummary:
    """What became of the images.

    Attributes:
        written: how many files were written.
        done: how many were there already, made by an earlier run of the same settings.
        bytes_in, bytes_out: of all these images, before and after.
        facts: what the manifest says of each, where there is one.
        files: each image and its file.
        failures: the others, each with its error.
        left_out: by the reason, what was not read of the folder.
        remarks: by what is to be said, images that were read and written.
    """

    written: int = 0
    done: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    facts: list[Record] = field(default_factory=list)
    files: list[tuple[Path, Path]] = field(default_factory=list)
    failures: list[tuple[Path, Exception]] = field(default_factory=list)
    left_out: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    remarks: dict[str, list[Path]] = field(default_factory=dict)


def write_files(
    plan: Plan,
    make: Callable[[Sequence[Job], Sequence[Job]], Iterable[FileAndFacts | Exception]],
    manifest: Manifest | None = None,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> EncodeSummary:
    """Write a file for each job, a batch at a time, and note it in the manifest.

    Args:
        plan: from `plan_files`.
        make: from the jobs to do of a batch, and all jobs of that batch, to what became of the
            former, one after the other.
        manifest: of the folder; what it says is done is left out.
        batch_size: jobs in a batch: the same ones in every run, whatever is done already.
        progress: show a progress bar on a terminal.

    Raises:
        OSError: the disk is full or cannot be written to.
        KeyboardInterrupt: its words say what is kept.
    """
    summary = EncodeSummary(failures=list(plan.failures), left_out=plan.left_out)
    for folder in {job.target.parent for job in plan.jobs}:
        remove_orphans(folder)
    with told_when_stopped(lambda: _how_to_go_on(summary, manifest)):
        for batch in _batches(plan.jobs, batch_size, progress):
            sources = {} if manifest is None else {job: _source_sha256(job) for job in batch}
            todo = []
            for job in batch:
                record = manifest.done(job.file, sources[job]) if manifest else None
                if record is None:
                    todo.append(job)
                else:
                    summary.done += 1
                    _count(summary, job, record["bytes"], record)
            records: list[Record] = []
            try:
                for job, result in zip(todo, make(todo, batch) if todo else (), strict=True):
                    # A file that is written is recorded, whatever comes in between.
                    with finished_first():
                        _write(job, result, summary, records, sources.get(job, ""))
            finally:
                if manifest is not None:
                    with finished_first():
                        manifest.append(records)
                        summary.facts += records
    if manifest is not None:
        manifest.rewrite()
    return summary


def _write(
    job: Job,
    result: FileAndFacts | Exception,
    summary: EncodeSummary,
    records: list[Record],
    source_sha256: str,
) -> None:
    """Write what became of a job, or note why it cannot be written."""
    if isinstance(result, Exception):
        summary.failures.append((job.path, result))
        return
    data, facts = result
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(job.target, data)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise
        summary.failures.append((job.path, error))
        return
    names = {"file": job.file, "source": job.name, "source_sha256": source_sha256}
    record = {**names, "sha256": sha256(data), "bytes": len(data), **facts}
    records.append(record)
    summary.written += 1
    _count(summary, job, len(data), record)


def _count(summary: EncodeSummary, job: Job, size: int, record: Record) -> None:
    # It may have vanished meanwhile.
    with contextlib.suppress(OSError):
        summary.bytes_in += job.path.stat().st_size
    summary.bytes_out += size
    summary.files.append((job.path, job.target))
    for remark in record.get("remarks", ()):
        summary.remarks.setdefault(remark, []).append(job.path)


def _how_to_go_on(summary: EncodeSummary, manifest: Manifest | None) -> str:
    kept = f"interrupted: {summary.written} files are written, each of them whole"
    if manifest is None:
        return f"{kept}; the same command writes all again (with --manifest it goes on)"
    return f"{kept} and in the manifest; the same command goes on from there"


@contextmanager
def written_alone(out: Path) -> Iterator[None]:
    """Make a folder, and while inside be the only one to write there, or raise ValueError."""
    out.mkdir(parents=True, exist_ok=True)
    remove_orphans(out)
    with sole_writer(out):
        yield


def _batches(targets: Sequence[Job], size: int, progress: bool) -> Iterator[list[Job]]:
    batch: list[Job] = []
    for job in track(targets, "encoding", enabled=progress):
        batch.append(job)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _source_sha256(job: Job) -> str:
    try:
        return sha256(job.path.read_bytes())
    except (OSError, MemoryError):
        # Reading it as an image will say what is wrong with it.
        return ""
