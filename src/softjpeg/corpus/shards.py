"""Shards of images to shards of .jpg files: each published whole, then its manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from softjpeg.common.interrupt import told_when_stopped
from softjpeg.corpus.digests import file_sha256, versions, written_sha256
from softjpeg.corpus.earlier_rows import manifest_rows, reusing
from softjpeg.corpus.engine import Engine, EngineLostError
from softjpeg.corpus.error_classes import tried_again
from softjpeg.corpus.parquet_shards import PARQUET_SUFFIXES, encode_parquet, parquet_images
from softjpeg.corpus.places import Place, place_of
from softjpeg.corpus.processes import processes
from softjpeg.corpus.ray_engine import ray_workers
from softjpeg.corpus.records import Record, parse_line
from softjpeg.corpus.samples import Encoder, Row, encode_batch
from softjpeg.corpus.tar_shards import encode_tar, tar_images
from softjpeg.corpus.watch import TooManyFailuresError, Watch, Watching, watched
from softjpeg.corpus.writing import NO_ROOM

ENGINES = {"local": processes, "ray": ray_workers}

_PIXEL = b"P5 1 1 255 \x80"
INDEX, MANIFEST = "index.jsonl", ".manifest.jsonl"
_AMONG_THEM = {"kept": "source_kept", "requantized": "requantized"}
"""What a head counts, where there are any, and the fact that says so."""


@dataclass
class ShardSummary:
    """What became of the shards.

    Attributes:
        shards, done: how many there are now, and how many of them were there already.
        images, failed: written, and failed, those of earlier runs included.
        bytes_in, bytes_out: of the images written.
        kept: sources that would not have become smaller, among the images.
        requantized: files of a JPEG's own coefficients, among the images.
        errors: failed images by their class.
        failures: shards that could not be encoded, each with its error.
    """

    shards: int = 0
    done: int = 0
    images: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    kept: int = 0
    requantized: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, Exception]] = field(default_factory=list)

    def add(self, head: dict[str, Any]) -> None:
        """Count a shard by the first line of its manifest."""
        self.shards += 1
        for name in ("images", "failed", "bytes_in", "bytes_out"):
            setattr(self, name, getattr(self, name) + head[name])
        self.kept += head.get("kept", 0)
        self.requantized += head.get("requantized", 0)
        self.errors.update(head["errors"])


def encode_shards(
    source: str | Path,
    encoder: Encoder,
    out: str | Path,
    *,
    jobs: int = 1,
    retry: str = "",
    verify: bool = False,
    watching: Watching | None = None,
    engine: str = "local",
) -> ShardSummary:
    """Write every tar or Parquet file anew with its images encoded.

    A shard `a.tar` is published by a rename, then its manifest `a.tar.manifest.jsonl`, and after
    all of them `index.jsonl`. A shard is done when its manifest says that it was made with these
    settings from a source of this size and time. Images that failed in it are tried again only
    where that may help, or `retry` says so, and no others are encoded then.

    Args:
        source: a shard, or a folder of them; a path, or a URL that fsspec knows.
        encoder: how images are encoded.
        out: folder for the shards, made when it is missing; a path or a URL. Only of a path it is
            known that no other process writes there.
        jobs: processes; the bytes do not depend on how many.
        retry: also try images again that failed with an error of this class, or "all".
        verify: compare the digests, not only the sizes, of shards that are done.
        watching: how the run is watched.
        engine: "local" for processes, "ray" for Ray's workers; the bytes do not depend on it.

    Raises:
        ValueError: no shards, one that would be written over, an unknown class, options that no
            image can be encoded with, or another process writes to `out`.
        OSError: the disk is full or cannot be written to.
        TooManyFailuresError: more images failed than may; the shard in hand is not published.
        EngineLostError: what encodes is gone; nor is it then.
        KeyboardInterrupt: its words say what is kept.
    """
    again = tried_again(retry)
    if engine not in ENGINES:
        raise ValueError(f"--engine must be {' or '.join(ENGINES)}, got {engine}")
    here, there = place_of(source), place_of(out)
    if next(here.shards(there), None) is None:
        raise ValueError(f"{source} holds no tar or Parquet files")
    # Options that no image can be encoded with are refused before anything is written.
    if (row := encode_batch([("a pixel", _PIXEL)], encoder)[0]).data is None:
        raise ValueError(row.facts["detail"])
    about = {"settings": json.loads(json.dumps(encoder.settings)), "versions": versions()}
    summary = ShardSummary()

    def kept() -> str:
        return (
            f"interrupted: {summary.shards} shards are whole; the same command goes on from there"
        )

    total = sum(here.version(name)["source_bytes"] for name in here.shards(there))
    with (
        there.alone(),
        told_when_stopped(kept),
        ENGINES[engine](encoder, jobs) as run,
        watched(watching or Watching(), total) as watch,
    ):
        lines = []
        for name in here.shards(there):
            if here.is_same(name, there):
                raise ValueError(f"{name} would be written over itself: choose another --out")
            try:
                version = here.version(name)
                head = _done(there, name, {**version, "settings": about["settings"]}, verify)
                if head is not None and again.isdisjoint(head["errors"]):
                    summary.done += 1
                    watch.skip(version["source_bytes"])
                else:
                    encode = _encoding(here, there, name, run, again if head else None)
                    head = _encode_shard(there, name, version | about, encode, watch)
            except (TooManyFailuresError, EngineLostError):
                raise
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                summary.failures.append((name, error))
                continue
            summary.add(head)
            lines.append(json.dumps(head) + "\n")
        with there.writing(INDEX) as file:
            file.write("".join(lines).encode())
    return summary


def _done(there: Place, name: str, wanted: dict[str, Any], verify: bool) -> dict[str, Any] | None:
    """The first line of a shard's manifest, where it says that there is nothing to do."""
    try:
        head = parse_line(there.first_line(name + MANIFEST))
        size = there.version(name)["source_bytes"]
    except (OSError, ValueError):
        return None
    if (
        not _is_head(head)
        or size != head["bytes"]
        or any(head.get(key) != value for key, value in wanted.items())
    ):
        return None
    if not verify:
        return head
    with there.local(name) as path:
        return head if file_sha256(path) == head["sha256"] else None


def _is_head(head: Record) -> bool:
    """Whether it says of a shard all that is read of it again."""
    counts = [head.get(name) for name in ("bytes", "images", "failed", "bytes_in", "bytes_out")]
    errors = head.get("errors")
    if not isinstance(errors, dict) or not isinstance(head.get("sha256"), str):
        return False
    counts += [head.get(name, 0) for name in _AMONG_THEM]
    return all(type(count) is int for count in (*counts, *errors.values()))


Encoding = Callable[[IO[bytes], str], Iterator[Row]]
"""Writes a shard to a file, with a prefix for its rows' keys."""


@contextmanager
def _encoding(
    here: Place, there: Place, name: str, engine: Engine, again: Set[str] | None
) -> Iterator[Encoding]:
    """How a shard is written; with `again` only what failed so is encoded, in one that is done."""
    parquet = name.endswith(PARQUET_SUFFIXES)
    encode = encode_parquet if parquet else encode_tar
    with ExitStack() as inside:
        path = inside.enter_context(here.local(name))
        if again is not None:
            target = inside.enter_context(there.local(name))
            manifest = inside.enter_context(there.local(name + MANIFEST))
            rows = inside.enter_context(closing(manifest_rows(manifest)))
            images = parquet_images(target) if parquet else tar_images(target)
            engine = reusing(engine, rows, inside.enter_context(closing(images)), again)
        yield lambda file, prefix: encode(path, file, engine, prefix)


def _encode_shard(
    there: Place,
    name: str,
    about: dict[str, Any],
    encoding: AbstractContextManager[Encoding],
    watch: Watch,
) -> dict[str, Any]:
    """Publish a shard and then its manifest, of which this is the first line."""
    facts = []
    with there.writing(name) as file, encoding as encode:
        for row in encode(file, f"{name}/"):
            facts.append(row.facts)
            watch.add(row.facts)
        size, digest = written_sha256(file)
    written = [fact for fact in facts if fact["status"] == "written"]
    errors = Counter(fact["error"] for fact in facts if fact["status"] == "failed")
    head = {
        "shard": name,
        "bytes": size,
        "sha256": digest,
        "images": len(written),
        "failed": errors.total(),
        "errors": dict(sorted(errors.items())),
        "bytes_in": sum(fact["source_bytes"] for fact in written),
        "bytes_out": sum(fact["bytes"] for fact in written),
        **_among_them(written),
        **about,
    }
    lines = "".join(json.dumps(line) + "\n" for line in (head, *facts))
    with there.writing(name + MANIFEST) as file:
        file.write(lines.encode())
    return head


def _among_them(written: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = {name: sum(said in row for row in written) for name, said in _AMONG_THEM.items()}
    return {name: count for name, count in counts.items() if count}
