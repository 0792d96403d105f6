"""A JPEG source requantized, or why only its pixels can be encoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.requantize import read_dequantized
from softjpeg.corpus.sources import JPEG
from softjpeg.presets.preset import Preset


class PixelsNeededError(ValueError):
    """An image that only its pixels can be encoded of; the words are the same for many images."""


def requantized_file(
    data: bytes,
    tables: Preset | Callable[[Any], Preset] | ByteLimit,
    *,
    metadata: bool = True,
    **options: Any,
) -> tuple[bytes, tuple[int, int], Mapping[str, Any]]:
    """A JPEG's file from its own coefficients, (width, height), and what a manifest says of it.

    Args:
        data: of an image file of any kind.
        tables: a preset, for all images or for each, or a limit of bytes.
        metadata, options: of `softjpeg.requantize`.

    Raises:
        PixelsNeededError: it cannot be done so.
        TooLargeError: no quality has as few bytes.

    >>> requantized_file(b"GIF89a", Preset.from_quality(50))
    Traceback (most recent call last):
    ...
    softjpeg.corpus.requantizing.PixelsNeededError: encoded from pixels: data is no JPEG file
    """
    try:
        if not data.startswith(JPEG):
            raise ValueError("data is no JPEG file")
        source = read_dequantized(data, metadata)
    except ValueError as error:
        reason = re.split("[:;]", str(error))[0]
        raise PixelsNeededError(f"encoded from pixels: {reason}") from error
    file, quality = source.encoded_choosing(tables, **options)
    height, width = source.size
    chosen = {} if quality is None else {"quality": quality}
    return file, (width, height), {"requantized": True, **chosen}
