"""Encoded images of byte strings: bytes in, rows out, and what fails is a row, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.byte_limit import ByteLimit, encode_choosing
from softjpeg.codec.image import Mode
from softjpeg.codec.requantize import check_stores_whole
from softjpeg.common.image_files import NamedBytes, read_whole
from softjpeg.corpus.digests import image_seed, preset_sha256, sha256
from softjpeg.corpus.error_classes import ErrorClass, error_class
from softjpeg.corpus.limits import Limits
from softjpeg.corpus.requantizing import PixelsNeededError, requantized_file
from softjpeg.corpus.sources import JPEG, SourceRules
from softjpeg.presets.preset import Preset

IMAGE_ERRORS = (ValueError, OSError, MemoryError, RuntimeError)
"""What one image may fail with; PyTorch says with a RuntimeError that memory is short."""


@dataclass(frozen=True)
class Encoder:
    """How images are encoded; it can be sent to other processes.

    Attributes:
        preset: tables, subsampling and hardness, for all images or for each; or what each has at
            most so many bytes with.
        mode: "hard", "probabilistic" or "rdo".
        seed: an image's draws depend on it and on the image's key alone.
        rules: how an image is read.
        limits: what an image may ask for.
        options: of `softjpeg.encode`.
        keep_smaller: a JPEG that would not become smaller stays as it is.
        requantize: a JPEG's own coefficients get the preset's tables, as by
            `softjpeg.requantize`; what cannot be done so goes through pixels, and its row says why.

    Raises:
        ValueError: `requantize` with what needs pixels.
    """

    preset: Preset | AdaptiveQuality | ByteLimit
    mode: Mode = "hard"
    seed: int = 0
    rules: SourceRules = field(default_factory=SourceRules)
    limits: Limits = field(default_factory=Limits)
    options: Mapping[str, Any] = field(default_factory=dict)
    keep_smaller: bool = False
    requantize: bool = False

    def __post_init__(self) -> None:
        if not self.requantize:
            return
        if self.mode != "hard":
            words = "requantizing rounds each coefficient: mode must be hard"
            raise ValueError(f"{words}, got {self.mode}")
        check_stores_whole(self.preset)

    @property
    def needs_torch(self) -> bool:
        """Whether PyTorch is loaded for it."""
        return self.mode != "hard" or isinstance(self.preset, AdaptiveQuality)

    def encoded(self, image: Image.Image, seed: int) -> tuple[bytes, dict[str, Any]]:
        """An image's file, and what a manifest says of it."""
        file, quality = encode_choosing(image, self.preset, self.mode, seed, **self.options)
        return file, {} if quality is None else {"quality": quality}

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides a file's bytes besides the image, in JSON's types."""
        named = {"preset": preset_sha256(self.preset), "mode": self.mode, "seed": self.seed}
        keeping = {"keep_smaller": True} if self.keep_smaller else {}
        keeping |= {"requantize": True} if self.requantize else {}
        return {**named, **self.options, **self.rules.settings, **keeping}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While inside, images are read by its rules and limits."""
        with self.rules.applied(), self.limits.applied():
            yield


@dataclass(frozen=True)
class Row:
    """What became of an image.

    Attributes:
        key: its name.
        data: its file; None where it failed.
        facts: what a manifest says of it, in JSON's types.
    """

    key: str
    data: bytes | None
    facts: Mapping[str, Any]


def encode_batch(samples: Iterable[tuple[str, bytes | Path]], encoder: Encoder) -> list[Row]:
    """Encode images, one after the other; none of them raises.

    Args:
        samples: keys and image files: what is in them, or their paths.
        encoder: how.

    >>> (row,) = encode_batch([("a.png", b"no image")], Encoder(Preset.from_quality(50)))
    >>> row.data, row.facts["status"], row.facts["error"]
    (None, 'failed', 'decode')
    """
    with encoder.applied():
        return [encode_one(key, source, encoder) for key, source in samples]


def encode_one(key: str, source: bytes | Path, encoder: Encoder) -> Row:
    """The row of one image, while the encoder is applied; it never raises.

    Args:
        key: its name.
        source: what is in its file, or the path.
        encoder: how.
    """
    number = image_seed(encoder.seed, key)
    try:
        data = checked_source(key, source, encoder.limits)
        file, size, remarks, facts = _encoded(data, encoder, number)
    except IMAGE_ERRORS as error:
        return failed_row(key, source, error_class(error), str(error))
    whole = data.getvalue()
    if encoder.keep_smaller and len(file) >= len(whole) and whole.startswith(JPEG):
        return written_row(key, whole, whole, size, remarks, seed=number, source_kept=True)
    return written_row(key, whole, file, size, remarks, seed=number, **facts)


def _encoded(
    source: NamedBytes, encoder: Encoder, seed: int
) -> tuple[bytes, tuple[int, int], tuple[str, ...], dict[str, Any]]:
    """A file, (width, height), what there is to say of it, and what else a manifest says."""
    why: tuple[str, ...] = ()
    if encoder.requantize:
        try:
            made = requantized_file(source.getvalue(), encoder.preset, **encoder.options)
        except PixelsNeededError as error:
            why = (str(error),)
        else:
            file, size, facts = made
            return file, size, (), dict(facts)
    image, remarks = encoder.rules.read(source)
    file, facts = encoder.encoded(image, seed)
    return file, image.size, (*remarks, *why), facts


def read_source(
    key: str, source: bytes | Path, rules: SourceRules, limits: Limits
) -> tuple[bytes, Image.Image, tuple[str, ...]]:
    """An image file, the image in it, and what there is to say of it.

    Args:
        key: what errors call it, where it has no path.
        source: what is in the file, or its path.
        rules: how it is read.
        limits: what it may ask for.

    Raises:
        ImageFileError: it cannot be read, or is beyond a limit.
    """
    file = checked_source(key, source, limits)
    return file.getvalue(), *rules.read(file)


def checked_source(key: str, source: bytes | Path, limits: Limits) -> NamedBytes:
    """An image file whose header is within the limits.

    Args:
        key: what errors call it, where it has no path.
        source: what is in the file, or its path.
        limits: what it may ask for.

    Raises:
        ImageFileError: it cannot be read, or is beyond a limit.
    """
    if isinstance(source, Path):
        limits.check_bytes(source)
        source, key = read_whole(source), str(source)
    file = NamedBytes(source, key)
    limits.check(file)
    return file


def failed_row(key: str, source: bytes | Path, error: ErrorClass, sentence: str) -> Row:
    """The row of an image that failed.

    Args:
        key: its name.
        source: what is in its file, or its path.
        error: the class of the failure.
        sentence: what to say of it.
    """
    facts = {"key": key, "status": "failed", "error": error, "detail": " ".join(sentence.split())}
    return Row(key, None, facts | (_source(source) if isinstance(source, bytes) else {}))


def written_row(
    key: str,
    source: bytes,
    file: bytes,
    size: tuple[int, int],
    remarks: Sequence[str],
    **facts: Any,
) -> Row:
    """The row of an image that was encoded.

    Args:
        key: its name.
        source: what is in its source.
        file: what it became.
        size: (width, height) of the image as it was read.
        remarks: what there is to say of it.
        facts: what else a manifest says.
    """
    facts = {"sha256": sha256(file), "bytes": len(file), **facts}
    facts |= {"width": size[0], "height": size[1]}
    facts |= {"remarks": list(remarks)} if remarks else {}
    return Row(key, file, {"key": key, "status": "written", **_source(source), **facts})


def _source(data: bytes) -> dict[str, Any]:
    return {"source_sha256": sha256(data), "source_bytes": len(data)}
