"""What a run would cost, from a sample of its images: nothing is written."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from softjpeg.common.image_search import relative_name, walk_images
from softjpeg.corpus.parquet_shards import parquet_images
from softjpeg.corpus.places import place_of
from softjpeg.corpus.samples import Encoder, encode_batch
from softjpeg.corpus.shard_search import holds_shards
from softjpeg.corpus.tar_shards import tar_images

_NORMAL = 1.96
"""Standard deviations on either side of a mean that hold 95 % of it."""


@dataclass(frozen=True)
class Estimate:
    """A number, and the interval that holds it 95 times of 100.

    Attributes:
        value: the estimate itself.
        low, high: of the interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class DryRun:
    """What is expected of all images.

    Attributes:
        images: how many there are.
        sample: how many of them were encoded.
        bytes_in, bytes_out: of those that do not fail.
        core_hours: of reading and encoding them, without what starts processes and writes files.
        failed: a share, 0..1.
        errors: failures in the sample, by class.
    """

    images: int
    sample: int
    bytes_in: Estimate
    bytes_out: Estimate
    core_hours: Estimate
    failed: Estimate
    errors: dict[str, int]


def dry_run(
    source: str | Path, encoder: Encoder, count: int, out: str | Path | None = None
) -> DryRun:
    """Encode a random sample of a source's images; every image is listed, those of shards read.

    Args:
        source: as for `encode_files` or `encode_shards`.
        encoder: how images are encoded.
        count: images in the sample; which ones depends on the encoder's seed.
        out: a folder in the source that is not looked into.

    Raises:
        ValueError: no images, or `count` is not above 0.
    """
    if count < 1:
        raise ValueError(f"--dry-run must be at least 1, got {count}")
    total, chosen = _sample(_images(source, encoder, out), count, random.Random(encoder.seed))
    if not chosen:
        raise ValueError(f"{source} holds no images")
    sizes_in, sizes_out, seconds = [], [], []
    errors: Counter[str] = Counter()
    for key, image in chosen:
        start = time.process_time()
        (row,) = encode_batch([(key, image)], encoder)
        seconds.append(time.process_time() - start)
        if row.data is None:
            errors[row.facts["error"]] += 1
        sizes_in.append(0 if row.data is None else row.facts["source_bytes"])
        sizes_out.append(0 if row.data is None else row.facts["bytes"])
    return DryRun(
        total,
        len(chosen),
        sum_of(sizes_in, total),
        sum_of(sizes_out, total),
        sum_of([each / 3600 for each in seconds], total),
        share_of(errors.total(), len(chosen)),
        dict(errors),
    )


def sum_of(values: list[float], total: int) -> Estimate:
    """The sum over so many, of which some values are a random sample.

    >>> sum_of([1, 2, 3], 3)
    Estimate(value=6.0, low=6.0, high=6.0)
    """
    mean, count = statistics.fmean(values), len(values)
    spread = statistics.stdev(values) if count > 1 else 0.0
    # Of a finite number: where all are in the sample nothing is left to chance.
    error = _NORMAL * spread / math.sqrt(count) * math.sqrt(1 - count / total)
    return Estimate(total * mean, total * max(mean - error, 0.0), total * (mean + error))


def share_of(count: int, sample: int) -> Estimate:
    """A share by how many of a sample it counts: Wilson's interval.

    >>> share_of(0, 100)
    Estimate(value=0.0, low=0.0, high=0.037)
    """
    share, square = count / sample, _NORMAL**2
    middle = (share + square / (2 * sample)) / (1 + square / sample)
    half = math.sqrt(share * (1 - share) / sample + square / (4 * sample**2))
    half *= _NORMAL / (1 + square / sample)
    bounds = (max(middle - half, 0.0), min(middle + half, 1.0))
    return Estimate(share, *(round(bound, 4) for bound in bounds))


def _images(
    source: str | Path, encoder: Encoder, out: str | Path | None
) -> Iterator[tuple[str, bytes | Path]]:
    if holds_shards(source):
        here = place_of(source)
        for name in here.shards(None if out is None else place_of(out)):
            with here.local(name) as path:
                images = parquet_images(path) if path.suffix == ".parquet" else tar_images(path)
                yield from ((f"{name}/{number}", image) for number, image in enumerate(images))
        return
    source, besides = Path(source), None if out is None else Path(out)
    for found in walk_images(source, follow_links=encoder.rules.follow_links, besides=besides):
        yield from ((relative_name(path, source), path) for path in found.paths)


def _sample(
    images: Iterable[tuple[str, bytes | Path]], count: int, draw: random.Random
) -> tuple[int, list[tuple[str, bytes | Path]]]:
    """How many there are, and so many of them, each as likely as any other."""
    chosen: list[tuple[str, bytes | Path]] = []
    total = 0
    for image in images:
        total += 1
        if len(chosen) < count:
            chosen.append(image)
        elif (place := draw.randrange(total)) < count:
            chosen[place] = image
    return total, chosen
