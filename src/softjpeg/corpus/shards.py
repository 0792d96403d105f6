"""Shards of images to shards of .jpg files: each published whole, then its manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from softjpeg.common.files import atomic_file, remove_orphans, write_atomically
from softjpeg.common.interrupt import told_when_stopped
from softjpeg.corpus.digests import file_sha256, versions
from softjpeg.corpus.earlier_rows import manifest_rows, reusing
from softjpeg.corpus.engine import Engine
from softjpeg.corpus.error_classes import tried_again
from softjpeg.corpus.parquet_shards import encode_parquet, parquet_images
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder, Row, encode_batch
from softjpeg.corpus.shard_search import find_shards
from softjpeg.corpus.tar_shards import encode_tar, tar_images
from softjpeg.corpus.watch import TooManyFailuresError, Watch, Watching, watched
from softjpeg.corpus.writing import NO_ROOM, written_alone

_PIXEL = b"P5 1 1 255 \x80"
INDEX, MANIFEST = "index.jsonl", ".manifest.jsonl"


@dataclass
class ShardSummary:
    """What became of the shards.

    Attributes:
        shards, done: how many there are now, and how many of them were there already.
        images, failed: written, and failed, those of earlier runs included.
        bytes_in, bytes_out: of the images written.
        kept: sources that would not have become smaller, among the images.
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
    errors: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Path, Exception]] = field(default_factory=list)

    def add(self, head: dict[str, Any]) -> None:
        """Count a shard by the first line of its manifest."""
        self.shards += 1
        for name in ("images", "failed", "bytes_in", "bytes_out"):
            setattr(self, name, getattr(self, name) + head[name])
        self.kept += head.get("kept", 0)
        self.errors.update(head["errors"])


def encode_shards(
    source: Path,
    encoder: Encoder,
    out: Path,
    *,
    jobs: int = 1,
    retry: str = "",
    verify: bool = False,
    watching: Watching | None = None,
) -> ShardSummary:
    """Write every tar or Parquet file anew with its images encoded.

    A shard `a.tar` is published by a rename, then its manifest `a.tar.manifest.jsonl`, and after
    all of them `index.jsonl`. A shard is done when its manifest says that it was made with these
    settings from a source of this size and time. Images that failed in it are tried again only
    where that may help, or `retry` says so, and no others are encoded then.

    Args:
        source: a shard, or a folder of them.
        encoder: how images are encoded.
        out: folder for the shards, made when it is missing.
        jobs: processes; the bytes do not depend on how many.
        retry: also try images again that failed with an error of this class, or "all".
        verify: compare the digests, not only the sizes, of shards that are done.
        watching: how the run is watched.

    Raises:
        ValueError: no shards, one that would be written over, an unknown class, options that no
            image can be encoded with, or another process writes to `out`.
        OSError: the disk is full or cannot be written to.
        TooManyFailuresError: more images failed than may; the shard in hand is not published.
        KeyboardInterrupt: its words say what is kept.
    """
    again = tried_again(retry)
    if next(find_shards(source, out), None) is None:
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

    total = sum(path.stat().st_size for path, _ in find_shards(source, besides=out))
    with (
        written_alone(out),
        told_when_stopped(kept),
        processes(encoder, jobs) as engine,
        watched(watching or Watching(), total) as watch,
    ):
        lines = []
        for path, name in find_shards(source, besides=out):
            target = out / name
            if target.exists() and target.samefile(path):
                raise ValueError(f"{path} would be written over itself: choose another --out")
            try:
                head = _done(path, target, about["settings"], verify)
                if head is not None and again.isdisjoint(head["errors"]):
                    summary.done += 1
                    watch.skip(path.stat().st_size)
                else:
                    encode = _encoding(path, target, engine, again if head else None)
                    head = _encode_shard(path, target, name, about, encode, watch)
            except TooManyFailuresError:
                raise
            except (ValueError, OSError) as error:
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise
                summary.failures.append((path, error))
                continue
            summary.add(head)
            lines.append(json.dumps(head) + "\n")
        write_atomically(out / INDEX, "".join(lines).encode())
    return summary


def _manifest_of(target: Path) -> Path:
    return target.with_name(target.name + MANIFEST)


def _done(
    path: Path, target: Path, settings: dict[str, Any], verify: bool
) -> dict[str, Any] | None:
    """The first line of a shard's manifest, where it says that there is nothing to do."""
    try:
        with _manifest_of(target).open("rb") as file:
            head: dict[str, Any] = json.loads(file.readline())
        there, size = path.stat(), target.stat().st_size
    except (OSError, ValueError):
        return None
    same = (there.st_size, there.st_mtime_ns) == (head["source_bytes"], head["source_mtime_ns"])
    if not same or head["settings"] != settings or size != head["bytes"]:
        return None
    return None if verify and file_sha256(target) != head["sha256"] else head


Encoding = Callable[[IO[bytes], str], Iterator[Row]]
"""Writes a shard to a file, with a prefix for its rows' keys."""


@contextmanager
def _encoding(
    path: Path, target: Path, engine: Engine, again: Set[str] | None
) -> Iterator[Encoding]:
    """How a shard is written; with `again` only what failed so is encoded, in one that is done."""
    parquet = path.suffix == ".parquet"
    encode = encode_parquet if parquet else encode_tar
    if again is None:
        yield lambda file, prefix: encode(path, file, engine, prefix)
        return
    images = parquet_images(target) if parquet else tar_images(target)
    with closing(manifest_rows(_manifest_of(target))) as rows, closing(images):
        reused = reusing(engine, rows, images, again)
        yield lambda file, prefix: encode(path, file, reused, prefix)


def _encode_shard(
    path: Path,
    target: Path,
    name: str,
    about: dict[str, Any],
    encoding: AbstractContextManager[Encoding],
    watch: Watch,
) -> dict[str, Any]:
    """Publish a shard and then its manifest, of which this is the first line."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_orphans(target.parent)
    before = path.stat()
    facts = []
    with atomic_file(target) as file, encoding as encode:
        for row in encode(file, f"{name}/"):
            facts.append(row.facts)
            watch.add(row.facts)
    written = [fact for fact in facts if fact["status"] == "written"]
    errors = Counter(fact["error"] for fact in facts if fact["status"] == "failed")
    head = {
        "shard": name,
        "source_bytes": before.st_size,
        "source_mtime_ns": before.st_mtime_ns,
        "bytes": target.stat().st_size,
        "sha256": file_sha256(target),
        "images": len(written),
        "failed": errors.total(),
        "errors": dict(sorted(errors.items())),
        "bytes_in": sum(fact["source_bytes"] for fact in written),
        "bytes_out": sum(fact["bytes"] for fact in written),
        **({"kept": kept} if (kept := sum("source_kept" in fact for fact in written)) else {}),
        **about,
    }
    lines = "".join(json.dumps(line) + "\n" for line in (head, *facts))
    write_atomically(_manifest_of(target), lines.encode())
    return head
