"""What a run has done so far: counted, shown, written down for others, and ended in time."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from softjpeg.common.extras import import_extra
from softjpeg.common.files import write_atomically
from softjpeg.common.progress import meter

_EVERY = 15.0
"""Seconds between two versions of the file for Prometheus."""
_ENOUGH = 100
"""Images of which a share of failures says something."""


class TooManyFailuresError(ValueError):
    """More images failed than a run goes on with."""


@dataclass(frozen=True)
class MostFailures:
    """How many images may fail.

    Attributes:
        count: so many, or
        percent: so many of a hundred, from the hundredth image on.

    >>> MostFailures.parse("1%")
    MostFailures(count=None, percent=1.0)
    """

    count: int | None = None
    percent: float | None = None

    @staticmethod
    def parse(text: str) -> MostFailures:
        """From "N" or "N%"; ValueError of anything else."""
        try:
            if text.endswith("%") and 0 <= float(text[:-1]) <= 100:
                return MostFailures(percent=float(text[:-1]))
            if text.isdecimal():
                return MostFailures(count=int(text))
        except ValueError:
            pass
        raise ValueError(f"--max-failures must be a number, or one with %, got {text}")

    def exceeded(self, failed: int, images: int) -> bool:
        """Whether so many failures of so many images are too many."""
        if self.percent is not None:
            return images >= _ENOUGH and 100 * failed > self.percent * images
        return self.count is not None and failed > self.count


@dataclass(frozen=True)
class Watching:
    """How a run is watched.

    Attributes:
        progress: a bar, where standard error is a terminal.
        rows: each image's row is written to it as a line of JSON.
        metrics: a file in Prometheus' text format, written anew every 15 seconds and at the end.
        most_failures: with more the run ends.
    """

    progress: bool = False
    rows: IO[str] | None = None
    metrics: Path | None = None
    most_failures: MostFailures = field(default_factory=MostFailures)


class Watch:
    """Counts what this run does, image by image.

    Args:
        watching: how.
        advance: of the bar: by bytes of sources, with words to show.
    """

    def __init__(self, watching: Watching, advance: Callable[[int, str], None]) -> None:
        self._watching, self._advance = watching, advance
        self._start = self._written = time.monotonic()
        self.images = self.kept = self.bytes_in = self.bytes_out = 0
        self.errors: Counter[str] = Counter()

    def add(self, facts: Mapping[str, Any]) -> None:
        """Count an image by its row.

        Raises:
            TooManyFailuresError: with it too many have failed.
        """
        self.images += 1
        size = facts.get("source_bytes", 0)
        if facts["status"] == "failed":
            self.errors[facts["error"]] += 1
        else:
            self.bytes_in += size
            self.bytes_out += facts["bytes"]
            self.kept += bool(facts.get("source_kept"))
        watching = self._watching
        if watching.rows is not None:
            watching.rows.write(json.dumps(facts) + "\n")
        self._advance(size, self.words())
        if watching.metrics is not None and time.monotonic() - self._written > _EVERY:
            self.write_metrics()
        failed = self.errors.total()
        if watching.most_failures.exceeded(failed, self.images):
            raise TooManyFailuresError(
                f"{failed} of {self.images} images failed, which is more than --max-failures: what "
                "is written is whole, and the same command goes on from there"
            )

    def skip(self, size: int) -> None:
        """Go past so many bytes of sources that are done already."""
        self._advance(size, self.words())

    def words(self) -> str:
        """How fast, how much, and what failed."""
        rate = self.images / max(time.monotonic() - self._start, 1e-9)
        text = (
            f"{rate:.3g} images/s, {self.bytes_in / 1e6:.0f} MB in, {self.bytes_out / 1e6:.0f} out"
        )
        errors = ", ".join(f"{count} {name}" for name, count in sorted(self.errors.items()))
        return f"{text}, failed: {errors}" if errors else text

    def write_metrics(self) -> None:
        """Write the file for Prometheus, where there is to be one.

        Raises:
            ImportError: prometheus_client is not installed.
        """
        if self._watching.metrics is None:
            return
        prometheus = import_extra("prometheus_client", "corpus")
        registry = prometheus.CollectorRegistry()
        images = prometheus.Gauge(
            "softjpeg_images",
            "Images of this run by what became of them.",
            ["status"],
            registry=registry,
        )
        sizes = prometheus.Gauge(
            "softjpeg_bytes", "Bytes of images in, and of files out.", ["way"], registry=registry
        )
        images.labels("written").set(self.images - self.errors.total())
        for name, count in self.errors.items():
            images.labels(name).set(count)
        sizes.labels("in").set(self.bytes_in)
        sizes.labels("out").set(self.bytes_out)
        write_atomically(self._watching.metrics, prometheus.generate_latest(registry))
        self._written = time.monotonic()


@contextmanager
def watched(watching: Watching, total: int | None = None) -> Iterator[Watch]:
    """While inside, a run is watched.

    Args:
        watching: how.
        total: bytes of all sources, where they are known.

    Raises:
        ImportError: metrics are asked for, and prometheus_client is not installed.
    """
    with meter("encoding", total, watching.progress) as advance:
        watch = Watch(watching, advance)
        watch.write_metrics()
        try:
            yield watch
        finally:
            watch.write_metrics()
