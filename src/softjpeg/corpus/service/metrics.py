"""What a service counts, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from softjpeg.corpus.service.settings import Encoded, Refusal
from softjpeg.corpus.service.workers import Held


class Metrics:
    """Counters of one service, of which a process may have several.

    Args:
        held: the bytes that are held.
    """

    def __init__(self, held: Held) -> None:
        self._registry = registry = CollectorRegistry()
        self._images = Counter(
            "softjpeg_images", "Images by what became of them.", ["status"], registry=registry
        )
        self._bytes = Counter(
            "softjpeg_bytes", "Bytes of images in, and of files out.", ["way"], registry=registry
        )
        self.seconds = Histogram(
            "softjpeg_image_seconds", "Of an image, waiting included.", registry=registry
        )
        queue = Gauge("softjpeg_held_bytes", "Bytes of requests in memory.", registry=registry)
        queue.set_function(lambda: held.bytes)

    def count(self, size: int, answer: Encoded | Refusal) -> None:
        """Note an image of so many bytes, and what became of it."""
        if isinstance(answer, Refusal):
            self._images.labels(answer.error).inc()
            return
        self._images.labels("encoded").inc()
        self._bytes.labels("in").inc(size)
        self._bytes.labels("out").inc(len(answer.data))

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
