"""Encoders: functions from an image to the bytes of a file, which is all that a judge needs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.image import Mode, encode
from softjpeg.codec.stored_size import stored_images
from softjpeg.jpeg.subsampling import Subsampling, SubsamplingOrGray, parse_subsampling
from softjpeg.presets.preset import Preset

Encoder = Callable[[Tensor], bytes]
"""From uint8 (3, H, W) RGB to the bytes of a file that Pillow decodes to that size, or shrunk."""

QUALITIES = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95)


def preset_encoder(
    preset: Preset | AdaptiveQuality, mode: Mode = "hard", seed: int = 0, **options: Any
) -> Encoder:
    """`softjpeg.encode` with a preset.

    Args:
        preset: tables, subsampling and hardness, for all images or for each.
        mode: of `encode`.
        seed: of "probabilistic"; an image's draws depend on it and on its pixels alone.
        options: of `encode`, passed on.

    >>> import torch
    >>> encoder = preset_encoder(Preset.from_quality(50), "probabilistic")
    >>> image = torch.full((3, 16, 16), 99, dtype=torch.uint8)
    >>> encoder(image) == encoder(image)
    True
    """

    def encoder(image: Tensor) -> bytes:
        image_seed = zlib.crc32(image.contiguous().numpy().tobytes(), seed)
        return encode(image, preset, mode, image_seed, **options)

    return encoder


def default_jpeg(qualities: Sequence[int], subsampling: SubsamplingOrGray) -> dict[int, Encoder]:
    """Annex K tables at libjpeg's qualities 1..100, Huffman tables optimized for each file.

    Args:
        qualities: of the encoders.
        subsampling: "4:4:4", "4:2:2", "4:2:0" or "gray" (one component, no colour).

    Returns:
        By quality.

    Raises:
        ValueError: another quality or subsampling.

    >>> list(default_jpeg([10, 50], "gray"))
    [10, 50]
    """
    gray = parse_subsampling(subsampling) == "gray"
    sampling: Subsampling = "4:4:4" if subsampling == "gray" else subsampling
    return {q: preset_encoder(Preset.from_quality(q, sampling), gray=gray) for q in qualities}


def each_of_stored(
    encoders: Mapping[str, Encoder], short_side: int | None, center: float | None
) -> dict[str, Encoder]:
    """The same encoders of what a preset would store of each image.

    Args:
        encoders: by name, of any format.
        short_side, center: as `Preset` has them.

    >>> import torch
    >>> (encoder,) = each_of_stored({"a": lambda i: bytes(i.shape)}, 20, None).values()
    >>> encoder(torch.zeros(3, 40, 60, dtype=torch.uint8))
    b'\\x03\\x14\\x1e'
    """

    def of_stored(encoder: Encoder) -> Encoder:
        return lambda image: encoder(stored_images([image], short_side, center)[0])

    return {name: of_stored(encoder) for name, encoder in encoders.items()}


def each_recoded(
    encoders: Mapping[str, Encoder], recode: Callable[[bytes], bytes]
) -> dict[str, Encoder]:
    """The same encoders, their JPEG files passed through a lossless step; others stay as they are.

    >>> each_recoded({"a": lambda image: b"RIFF..."}, lambda data: b"")["a"](None)
    b'RIFF...'
    """

    def recoded(encoder: Encoder) -> Encoder:
        def encoder_and_step(image: Tensor) -> bytes:
            data = encoder(image)
            return recode(data) if data[:2] == b"\xff\xd8" else data

        return encoder_and_step

    return {name: recoded(encoder) for name, encoder in encoders.items()}
