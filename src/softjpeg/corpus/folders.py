"""Many images to .jpg files: every broken one is reported, the others are written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.image import Mode, encode
from softjpeg.common.files import write_atomically
from softjpeg.common.image_files import find_images, read_image, relative_name
from softjpeg.common.progress import track
from softjpeg.corpus.manifest import Manifest, Record, sha256
from softjpeg.presets.preset import Preset


@dataclass
class EncodeSummary:
    """What became of the images.

    Attributes:
        written: how many files were written.
        done: how many were there already, made by an earlier run of the same settings.
        bytes_in, bytes_out: of all these images, before and after.
        facts: what the manifest says of each, where there is one.
        failures: the others, each with its error.
    """

    written: int = 0
    done: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    facts: list[Record] = field(default_factory=list)
    failures: list[tuple[Path, Exception]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """An image to be written.

    Attributes:
        path: of the image.
        name: its path below its source, with forward slashes.
        file: the name of its .jpg below the output folder.
        target: the file to write.
    """

    path: Path
    name: str
    file: str
    target: Path


FileAndFacts = tuple[bytes, Mapping[str, Any]]
"""A file, and what the manifest says of it."""


def encode_files(
    source: Path,
    preset: Preset | AdaptiveQuality,
    out: Path,
    *,
    mode: Mode = "hard",
    seed: int = 0,
    manifest: bool = False,
    jobs: int = 1,
    progress: bool = False,
    **options: Any,
) -> EncodeSummary:
    """Write every image of a folder or list as a .jpg of the same relative name.

    Args:
        source: a folder, an image, or a text file listing images.
        preset: tables, subsampling and hardness, for all images or for each.
        out: folder for the files, made when it is missing.
        mode: "hard", "probabilistic" or "rdo".
        seed: an image's draws depend on it and on the image's name alone, so a second run writes
            the same bytes.
        manifest: keep a manifest in `out`, and leave alone what it says is done already.
        jobs: images at a time; the files do not depend on it.
        progress: show a progress bar on a terminal.
        options: of `softjpeg.encode`, passed on.

    Raises:
        ValueError: no images, or two that would be written to one file or over an input.
    """
    # Options that no image can be encoded with are refused before anything is written.
    encode(Image.new("L", (8, 8)), preset, mode, seed=seed, **options)
    settings = {"preset": preset_sha256(preset), "mode": mode, "seed": seed, **options}

    def encoded(job: Job) -> FileAndFacts | Exception:
        number = image_seed(seed, job.name)
        try:
            data = encode(read_upright(job.path), preset, mode, seed=number, **options)
        except (ValueError, OSError) as error:
            return error
        return data, {"seed": number}

    with pool_of(jobs) as pool:
        return write_files(
            output_files(source, out),
            lambda todo, batch: list(pool.map(encoded, todo)),
            Manifest(out, settings) if manifest else None,
            progress=progress,
        )


def write_files(
    targets: Sequence[Job],
    make: Callable[[Sequence[Job], Sequence[Job]], Sequence[FileAndFacts | Exception]],
    manifest: Manifest | None = None,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> EncodeSummary:
    """Write a file for each job, a batch at a time, and note it in the manifest.

    Args:
        targets: from `output_files`.
        make: from the jobs to do of a batch, and all jobs of that batch, to what became of the
            former.
        manifest: of the folder; what it says is done is left out.
        batch_size: jobs in a batch: the same ones in every run, whatever is done already.
        progress: show a progress bar on a terminal.
    """
    summary = EncodeSummary()
    for batch in _batches(targets, batch_size, progress):
        sources = {} if manifest is None else {job: _source_sha256(job) for job in batch}
        todo = []
        for job in batch:
            record = manifest.done(job.file, sources[job]) if manifest else None
            if record is None:
                todo.append(job)
            else:
                summary.done += 1
                summary.bytes_in += job.path.stat().st_size
                summary.bytes_out += record["bytes"]
                summary.facts.append(record)
        records = []
        for job, result in zip(todo, make(todo, batch) if todo else (), strict=True):
            if isinstance(result, Exception):
                summary.failures.append((job.path, result))
                continue
            data, facts = result
            job.target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(job.target, data)
            summary.written += 1
            summary.bytes_in += job.path.stat().st_size
            summary.bytes_out += len(data)
            if manifest is not None:
                names = {"file": job.file, "source": job.name}
                digests = {"source_sha256": sources[job], "sha256": sha256(data)}
                records.append({**names, **digests, "bytes": len(data), **facts})
        if manifest is not None:
            manifest.append(records)
            summary.facts += records
    if manifest is not None:
        manifest.rewrite()
    return summary


def output_files(source: Path, out: Path) -> list[Job]:
    """The images of a source, and the file that each becomes.

    Raises:
        ValueError: no images, or two that would be written to one file or over an input.
    """
    here, there = Path(os.path.abspath(source)), Path(os.path.abspath(out))
    paths = [Path(os.path.abspath(path)) for path in find_images(source)]
    if here != there and there.is_relative_to(here):
        # What an earlier run wrote is not to be encoded again.
        paths = [path for path in paths if not path.is_relative_to(there)]
    inputs = set(paths)
    targets: dict[Path, Job] = {}
    for path in paths:
        name = relative_name(path, source)
        file = Path(name).with_suffix(".jpg").as_posix()
        target = there / file
        if target in targets:
            raise ValueError(f"{targets[target].path} and {path} would both be written to {target}")
        if target in inputs:
            raise ValueError(
                f"{path} would be written over the image {target}: choose another --out"
            )
        targets[target] = Job(path, name, file, target)
    return list(targets.values())


def read_upright(path: Path) -> Image.Image:
    """An image file as upright 8-bit RGB, or as gray ("L") where the file is gray.

    Raises:
        ValueError: the file cannot be read as an image, or holds 32-bit samples.
    """
    image = read_image(path)
    with Image.open(path) as file:
        gray = file.mode in ("1", "L", "LA") or file.mode.startswith("I;16")
    # Of equal channels Pillow's luma is that channel exactly.
    return image.convert("L") if gray else image


def image_seed(seed: int, name: str) -> int:
    """The same for an image in every run, whichever images are beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")


def preset_sha256(preset: Preset | AdaptiveQuality) -> str:
    """The digest of a preset's JSON."""
    return sha256(preset.to_json().encode())


@contextmanager
def pool_of(jobs: int) -> Iterator[Executor]:
    """Threads for so many jobs; ValueError unless there is at least one."""
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
    except OSError:
        # Reading it as an image will say what is wrong with it.
        return ""
