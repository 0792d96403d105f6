"""Pictures side by side: files, and what a network says they show."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from softjpeg.codec.image import decode
from softjpeg.common.image_planes import picture_of
from softjpeg.models.inference import outputs_of


@dataclass(frozen=True)
class Version:
    """A picture as one encoder wrote it, and what the network says it shows.

    Attributes:
        encoder: "original", "default q 12", a preset's name.
        data: the file itself.
        media_type: "image/jpeg" or "image/png".
        answer: name of the network's first class.
        probability: of that class, 0..1.
        agrees: it is the class the network gives for the uncompressed picture.
    """

    encoder: str
    data: bytes
    media_type: str
    answer: str
    probability: float
    agrees: bool = True


@dataclass(frozen=True)
class Picture:
    """A picture uncompressed, and pairs of default JPEG and preset with about equal bytes."""

    name: str
    original: Version
    pairs: Sequence[tuple[Version, Version]]


def picture(
    model: nn.Module,
    name: str,
    image: Tensor,
    pairs: Sequence[tuple[tuple[str, bytes], tuple[str, bytes]]],
    class_name: Callable[[int], str] = str,
) -> Picture:
    """Ask the network about an image and about files of it.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes).
        name: the picture's.
        image: (3, H, W) uint8, uncompressed.
        pairs: (encoder, .jpg file) of default JPEG, and of the preset beside it.
        class_name: of a class index.
    """
    original_class = int(outputs_of(model, image[None]).argmax())

    def version(encoder: str, data: bytes, media_type: str, pixels: Tensor) -> Version:
        probability, index = outputs_of(model, pixels[None]).softmax(-1)[0].max(-1)
        answer = class_name(int(index))
        return Version(
            encoder, data, media_type, answer, probability.item(), int(index) == original_class
        )

    def jpeg(file: tuple[str, bytes]) -> Version:
        return version(*file, "image/jpeg", decode(file[1]))

    original = version("original", png(image), "image/png", image)
    return Picture(name, original, [(jpeg(default), jpeg(preset)) for default, preset in pairs])


def png(pixels: Tensor) -> bytes:
    """(3, H, W) uint8 RGB as a .png file.

    >>> import torch
    >>> png(torch.zeros(3, 2, 5, dtype=torch.uint8))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    picture_of(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()
