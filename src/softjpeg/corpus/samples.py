"""Encoded images of byte strings: bytes in, rows out, and what fails is a row, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.image import Mode, encode
from softjpeg.common.image_files import NamedBytes
from softjpeg.corpus.error_classes import ErrorClass, error_class
from softjpeg.corpus.folders import IMAGE_ERRORS, image_seed, preset_sha256
from softjpeg.corpus.limits import Limits
from softjpeg.corpus.manifest import sha256
from softjpeg.corpus.sources import SourceRules
from softjpeg.presets.preset import Preset


@dataclass(frozen=True)
class Encoder:
    """How images are encoded; it can be sent to other processes.

    Attributes:
        preset: tables, subsampling and hardness, for all images or for each.
        mode: "hard", "probabilistic" or "rdo".
        seed: an image's draws depend on it and on the image's key alone.
        rules: how an image is read.
        limits: what an image may ask for.
        options: of `softjpeg.encode`.
    """

    preset: Preset | AdaptiveQuality
    mode: Mode = "hard"
    seed: int = 0
    rules: SourceRules = field(default_factory=SourceRules)
    limits: Limits = field(default_factory=Limits)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All that decides a file's bytes besides the image, in JSON's types."""
        limits = {"pixels": self.limits.pixels, "bytes": self.limits.bytes}
        limits["frames"] = self.limits.frames
        named = {"preset": preset_sha256(self.preset), "mode": self.mode, "seed": self.seed}
        return {**named, **self.options, **self.rules.settings, "limits": limits}


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


def encode_batch(samples: Iterable[tuple[str, bytes]], encoder: Encoder) -> list[Row]:
    """Encode images, one after the other; none of them raises.

    Args:
        samples: keys and image files.
        encoder: how.

    >>> (row,) = encode_batch([("a.png", b"no image")], Encoder(Preset.from_quality(50)))
    >>> row.data, row.facts["status"], row.facts["error"]
    (None, 'failed', 'decode')
    """
    with encoder.rules.applied():
        return [_encode(key, data, encoder) for key, data in samples]


def failed_row(key: str, data: bytes, error: ErrorClass, sentence: str) -> Row:
    """The row of an image that failed.

    Args:
        key: its name.
        data: its source.
        error: the class of the failure.
        sentence: what to say of it.
    """
    facts = {"key": key, "status": "failed", "error": error, "detail": " ".join(sentence.split())}
    return Row(key, None, facts | _source(data))


def _encode(key: str, data: bytes, encoder: Encoder) -> Row:
    source = NamedBytes(data, key)
    number = image_seed(encoder.seed, key)
    try:
        encoder.limits.check(source)
        image, remarks = encoder.rules.read(source)
        file = encode(image, encoder.preset, encoder.mode, seed=number, **encoder.options)
    except IMAGE_ERRORS as error:
        return failed_row(key, data, error_class(error), str(error))
    facts: dict[str, Any] = {"key": key, "status": "written", **_source(data)}
    facts |= {"sha256": sha256(file), "bytes": len(file), "seed": number}
    facts |= {"width": image.width, "height": image.height}
    facts |= {"remarks": list(remarks)} if remarks else {}
    return Row(key, file, facts)


def _source(data: bytes) -> dict[str, Any]:
    return {"source_sha256": sha256(data), "source_bytes": len(data)}
