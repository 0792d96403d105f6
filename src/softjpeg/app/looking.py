"""One picture's files: what they cost and show at every quality, beside default JPEG."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from softjpeg.app.readers import Readers, Reading, reading
from softjpeg.codec.adaptive_quality import AdaptiveQuality, at_quality, storing
from softjpeg.codec.file_sizes import equal_size_quality
from softjpeg.codec.image import decode, encode
from softjpeg.common.image_set import from_image
from softjpeg.models.class_names import class_name
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset
from softjpeg.report.heatmap import heat_map, log_share

QUALITIES = (3, 6, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 95)
"""Of the curves."""

_GAIN = 4
"""By which differences are shown."""


@dataclass(frozen=True)
class Wish:
    """How a picture is to be written.

    Attributes:
        preset: name of a ladder.
        quality: 1..100, of the ladder.
        side: most pixels of the stored image's shorter side; None for what the ladder says.
    """

    preset: str
    quality: int
    side: int | None = None


Tables = Preset | AdaptiveQuality


def tables_of(ladders: Mapping[str, Ladder], wish: Wish) -> Tables:
    """The tables that a wish asks for.

    Raises:
        ValueError: no such ladder, or a quality out of its range.
    """
    if wish.preset not in ladders:
        raise ValueError(f"preset must be one of {', '.join(ladders)}, got {wish.preset!r}")
    tables = at_quality(ladders[wish.preset], wish.quality)
    return tables if wish.side is None else storing(tables, short_side=wish.side)


def preset_of(tables: Tables, image: Image.Image) -> Preset:
    """The preset that an image gets."""
    return tables if isinstance(tables, Preset) else tables(image)


def curves(
    readers: Readers,
    network: str,
    image: Image.Image,
    target: int | None,
    tables_at: Callable[[int], Tables],
) -> dict[str, Any]:
    """A class's probability and rank, and the bytes, over quality: default JPEG and a ladder.

    Args:
        readers: the networks.
        network: the name of one.
        image: RGB.
        target: index of the class; None for the network's own answer on the picture as it is.
        tables_at: the tables of a quality. Default JPEG is stored at the same size.
    """
    presets = [preset_of(tables_at(quality), image) for quality in QUALITIES]
    defaults = [_default(q, p) for q, p in zip(QUALITIES, presets, strict=True)]
    files = {
        "default": [encode(image, preset, metadata=False) for preset in defaults],
        "preset": [encode(image, preset, metadata=False) for preset in presets],
    }
    original = readers.scores(network, [from_image(image)])[0]
    target = _target(target, original)
    found: dict[str, Any] = {
        "target": {"index": target, "name": class_name(target, len(original))},
        "original": asdict(reading(original, target)),
    }
    for name, datas in files.items():
        scores = readers.scores(network, [decode(data) for data in datas])
        found[name] = [
            {"quality": quality, "bytes": len(data), **asdict(reading(each, target))}
            for quality, data, each in zip(QUALITIES, datas, scores, strict=True)
        ]
    return found


def compared(
    readers: Readers, network: str, image: Image.Image, target: int | None, tables: Tables
) -> dict[str, Any]:
    """A preset's file and default JPEG's of no fewer bytes, as a network reads them.

    Args:
        readers: the networks.
        network: the name of one.
        image: RGB.
        target: as of `curves`.
        tables: of the preset's file.
    """
    preset = preset_of(tables, image)
    data = encode(image, preset, metadata=False)
    quality = equal_quality(image, preset, len(data))
    default = _default(quality, preset)
    other = encode(image, default, metadata=False)
    shown = [from_image(image), decode(data), decode(other)]
    scores = readers.scores(network, shown)
    target = _target(target, scores[0])
    readings: list[Reading] = [reading(each, target) for each in scores]
    size = shown[1].shape
    maps = [("luma, learned", preset.luma), (f"luma, default q {quality}", default.luma)]
    maps += [("chroma, learned", preset.chroma), (f"chroma, default q {quality}", default.chroma)]
    return {
        "target": {"index": target, "name": class_name(target, scores.shape[-1])},
        "stored": {"width": size[2], "height": size[1]},
        "original": asdict(readings[0]),
        "preset": {"bytes": len(data), **asdict(readings[1])},
        "default": {"bytes": len(other), "quality": quality, **asdict(readings[2])},
        "maps": [_shown(caption, table) for caption, table in maps],
    }


def equal_quality(image: Image.Image, preset: Preset, size: int) -> int:
    """Default JPEG's lowest quality with no fewer bytes, stored as the preset stores.

    Args:
        image: RGB.
        preset: whose subsampling and stored size default JPEG has.
        size: in bytes.
    """
    return equal_size_quality(
        size, lambda quality: len(encode(image, _default(quality, preset), metadata=False))
    )


def default_file(image: Image.Image, tables: Tables) -> bytes:
    """Default JPEG's file of no fewer bytes than the preset's."""
    preset = preset_of(tables, image)
    quality = equal_quality(image, preset, len(encode(image, preset, metadata=False)))
    return encode(image, _default(quality, preset), metadata=False)


def difference(image: Image.Image, data: bytes) -> Tensor:
    """What a file changed, four times as strong around middle grey: (3, H, W) uint8.

    A file of another size is resized to the picture's.
    """
    shown = Image.fromarray(decode(data).permute(1, 2, 0).numpy()).convert("RGB")
    if shown.size != image.size:
        shown = shown.resize(image.size, Image.Resampling.BICUBIC)
    change = np.asarray(shown, np.int16) - np.asarray(image, np.int16)
    pixels = (128 + _GAIN * change).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def command(name: str, wish: Wish) -> str:
    """What writes the same file of a colour picture without the app.

    >>> command("my cat.png", Wish("universal", 30))
    "softjpeg encode 'my cat.png' --preset universal --quality 30 --no-metadata --out jpegs"
    """
    words = ["softjpeg", "encode", name, "--preset", wish.preset, "--quality", str(wish.quality)]
    words += [] if wish.side is None else ["--short-side", str(wish.side)]
    return shlex.join([*words, "--no-metadata", "--out", "jpegs"])


def _default(quality: int, like: Preset) -> Preset:
    default = Preset.from_quality(quality, like.subsampling)
    return replace(default, short_side=like.short_side, center=like.center)


def _target(given: int | None, scores: Tensor) -> int:
    if given is None:
        return int(scores.argmax())
    if not 0 <= given < len(scores):
        raise ValueError(f"label must be from 0 to {len(scores) - 1}, got {given}")
    return given


def _shown(caption: str, table: Any) -> dict[str, Any]:
    steps = torch.as_tensor(table)
    return asdict(heat_map(caption, steps, log_share(steps, 6, 255), lambda q: str(int(q))))
