"""Networks in the loop as an engine: images in batches, each as the smallest file they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from softjpeg.codec.closed_loop.candidates import Candidate
from softjpeg.codec.closed_loop.judge import Inputs, Judge, network_input
from softjpeg.codec.closed_loop.repair import repaired_choices
from softjpeg.codec.closed_loop.search import Choice, smallest_files
from softjpeg.corpus.digests import image_seed
from softjpeg.corpus.engine import Engine, Entry
from softjpeg.corpus.error_classes import error_class
from softjpeg.corpus.folder_state import Keeping, Todo
from softjpeg.corpus.folders import FILE_LIMITS
from softjpeg.corpus.samples import IMAGE_ERRORS, Row, failed_row, read_source, written_row
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.targets import Job

Family = Callable[[Image.Image, int], Sequence[Candidate]]
"""From an image and its seed to its candidates, from the smallest files to the best."""


@dataclass(frozen=True)
class Search:
    """How an image's file is looked for.

    Attributes:
        family: the candidates of an image.
        judge: networks and fidelity.
        effort, passes, by_size: of `encode_in_the_loop`.
        seed: of encoders that draw; an image's own depends on it and on the image's name.
        rules: how an image is read.
    """

    family: Family
    judge: Judge
    effort: int
    passes: int
    by_size: bool
    seed: int
    rules: SourceRules


@dataclass(frozen=True)
class _Picture:
    name: str
    data: bytes
    image: Image.Image
    inputs: Inputs
    seed: int
    remarks: tuple[str, ...]


def loop_engine(search: Search, pool: Executor, batch_size: int) -> Engine:
    """An engine that encodes entries of folders, images of a batch together.

    Args:
        search: how.
        pool: threads to read and encode in.
        batch_size: images in a round of the search.
    """
    judge = search.judge

    def choose(pictures: Sequence[_Picture]) -> list[Row]:
        images = [picture.image for picture in pictures]
        shared: dict[str, Any] = {
            "inputs": [picture.inputs for picture in pictures],
            "mapper": pool.map,
        }
        try:
            ladders = [search.family(picture.image, picture.seed) for picture in pictures]
            choices = smallest_files(
                images, ladders, judge, effort=search.effort, by_size=search.by_size, **shared
            )
            if search.passes:
                choices = repaired_choices(images, choices, judge, search.passes, **shared)
        except IMAGE_ERRORS as error:
            # One image must not cost the others their files.
            if len(pictures) > 1:
                return [choose([picture])[0] for picture in pictures]
            (one,) = pictures
            return [failed_row(one.name, one.data, error_class(error), str(error))]
        return [_row(p, choice, judge) for p, choice in zip(pictures, choices, strict=True)]

    def rows_of(todo: Sequence[Job], batch: Sequence[Job]) -> dict[Job, Row]:
        read = _read(todo, search, pool)
        rows = {job: row for job, row in read.items() if isinstance(row, Row)}
        if len(rows) == len(todo):
            return rows
        read |= _read([job for job in batch if job not in read], search, pool)
        pictures = {job: p for job in batch if isinstance(p := read[job], _Picture)}
        return rows | dict(zip(pictures, choose(list(pictures.values())), strict=True))

    def engine(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Row | None]]:
        for batch in _batches(entries, batch_size):
            todo = [entry.rest.job for entry in batch if entry.image]
            rows = (
                rows_of(todo, [job for e in batch if (job := _job(e)) is not None]) if todo else {}
            )
            for entry in batch:
                yield entry, rows[entry.rest.job] if entry.image else None

    return engine


def _batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """The same images together in every run, whatever is done already."""
    batch: list[Entry] = []
    images = 0
    for entry in entries:
        batch.append(entry)
        images += _job(entry) is not None
        if images == size:
            yield batch
            batch, images = [], 0
    if batch:
        yield batch


def _job(entry: Entry) -> Job | None:
    rest: Todo | Keeping = entry.rest
    return rest.job


def _read(jobs: Sequence[Job], search: Search, pool: Executor) -> dict[Job, _Picture | Row]:
    judge, rules = search.judge, search.rules

    def read(job: Job) -> _Picture | Row:
        try:
            data, image, remarks = read_source(job.name, job.path, rules, FILE_LIMITS)
            inputs = tuple(network_input(image, n, str(job.path)) for n in judge.networks)
        except IMAGE_ERRORS as error:
            return failed_row(job.name, job.path, error_class(error), str(error))
        return _Picture(job.name, data, image, inputs, image_seed(search.seed, job.name), remarks)

    return dict(zip(jobs, pool.map(read, jobs), strict=True))


def _row(picture: _Picture, choice: Choice, judge: Judge) -> Row:
    measures = zip((n.name for n in judge.networks), choice.measures, strict=True)
    return written_row(
        picture.name,
        picture.data,
        choice.data,
        picture.image.size,
        picture.remarks,
        seed=picture.seed,
        encoder=choice.candidate,
        kept=choice.kept,
        measures={name: float(f"{measure:.6g}") for name, measure in measures},
        runs=choice.runs,
    )
