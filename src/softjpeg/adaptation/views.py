"""What a network reads of an image, and of its file: the same random part of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.codec.image import Mode, decode, encode
from softjpeg.models.preprocessing import Preprocessing
from softjpeg.presets.preset import Preset

_SHIFT = 8
"""Crops without preprocessing are moved by up to an eighth of their side."""


def decoded(data: bytes) -> Tensor:
    """A file as the network gets it: uint8 (3, H, W), also of a gray one."""
    return decode(data).expand(3, -1, -1)


def written(image: Tensor, preset: Preset, mode: Mode = "hard", seed: int = 0) -> Tensor:
    """What a decoder shows of the image's file: uint8 (3, H, W).

    Args:
        image: uint8 (3, H, W).
        preset, mode, seed: as `softjpeg.encode` takes them.

    >>> tuple(written(torch.zeros(3, 9, 8, dtype=torch.uint8), Preset.from_quality(50)).shape)
    (3, 9, 8)
    """
    # Huffman tables change no pixel.
    return decoded(encode(image, preset, mode, seed, optimize=False))


def training_view(
    image: Tensor,
    preset: Preset | None,
    preprocessing: Preprocessing | None,
    random: np.random.Generator,
    mode: Mode = "hard",
) -> tuple[Tensor, Tensor]:
    """A random part of an image, mirrored or not, and the same part of its file.

    Photos are written as they are, and the part is one of what the network's preprocessing makes of
    them: all of the photo is stored whole, as parts beside the centre are read too. Where there is
    none the file is the network's input: the part, moved by up to an eighth, is written.

    Args:
        image: uint8 (3, H, W).
        preset: of the file; None to read the image itself.
        preprocessing: of the network.
        random: of the part, and of a "probabilistic" file.
        mode: that the file is written in.

    Returns:
        Both (3, height, width) in [0, 1].

    >>> image, reads = torch.zeros(3, 30, 40).byte(), Preprocessing(20, crop=(16, 16))
    >>> views = training_view(image, Preset.from_quality(9), reads, np.random.default_rng(0))
    >>> [tuple(view.shape) for view in views]
    [(3, 16, 16), (3, 16, 16)]
    """
    flip = random.random() < 0.5
    seed = int(random.integers(1 << 31)) if mode == "probabilistic" else 0
    if preprocessing is None:
        image = _moved(image, random)
        image = image.flip(-1) if flip else image
        shown = image if preset is None else written(image, preset, mode, seed)
        return image / 255, shown / 255
    whole = None if preset is None else replace(preset, center=None)
    shown = image if whole is None else written(image, whole, mode, seed)
    resized = replace(preprocessing, crop=None)
    original, shown = (resized(each[None] / 255)[0] for each in (image, shown))
    # Of a file that shows fewer pixels, rounding may leave a row or column less or more.
    sides = [min(each) for each in zip(original.shape[1:], shown.shape[1:], strict=True)]
    height, width = preprocessing.crop or sides
    if height > sides[0] or width > sides[1]:
        preprocessing(image[None] / 255)  # It says what is wrong.
    top, left = (
        int(random.integers(sides[0] - height + 1)),
        int(random.integers(sides[1] - width + 1)),
    )
    parts = (each[:, top : top + height, left : left + width] for each in (original, shown))
    original, shown = (part.flip(-1) if flip else part for part in parts)
    return original, shown


def _moved(image: Tensor, random: np.random.Generator) -> Tensor:
    """The image moved, its edge mirrored where there is nothing."""
    height, width = image.shape[-2:]
    rows, columns = height // _SHIFT, width // _SHIFT
    padded = F.pad(image[None].float(), (columns, columns, rows, rows), mode="reflect")[0]
    top, left = int(random.integers(2 * rows + 1)), int(random.integers(2 * columns + 1))
    return padded[:, top : top + height, left : left + width].to(torch.uint8)
