"""From a picture to the network's input: augmentation for training, one crop for testing.

Normalization is the network's own (`softjpeg.wrap`): the JPEG layer wants [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

Transform = Callable[[Image.Image], Tensor]

CROPS = ("pad", "resized", "center")
_INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class CropAndFlip:
    """Nothing but a crop and a mirror: what `memory.crops` does to a batch at a time.

    Attributes:
        one: the same for one PIL image.
        size: height and width of the crop.
        padding: black pixels around the image.
        random: a crop at a random place; otherwise the centre.
        flip: mirror every second image.
    """

    one: Transform
    size: int
    padding: int = 0
    random: bool = False
    flip: bool = False

    def __call__(self, image: Image.Image) -> Tensor:
        """A PIL RGB image to (3, size, size) float32 in [0, 1]."""
        return self.one(image)


def train_transform(
    size: int,
    *,
    crop: str = "pad",
    resize: int | None = None,
    interpolation: str = "bicubic",
    flip: bool = True,
    randaugment: tuple[int, int] | None = None,
    jpeg_quality: tuple[int, int] | None = None,
) -> Transform:
    """Augmentation: resize, crop, flip, RandAugment, JPEG, in this order.

    All randomness comes from torch's generator.

    Args:
        size: height and width of the crop.
        crop: "pad" (a random crop of the image with ``size // 8`` black pixels around it),
            "resized" (a random part, 8 to 100 % of the area, scaled to the crop) or "center".
        resize: length of the shorter side before the crop; None for no resizing.
        interpolation: "bicubic" or "bilinear".
        flip: mirror every second image.
        randaugment: (number of operations, magnitude 0..30) of RandAugment; None for none.
        jpeg_quality: (lowest, highest) 1..100: compress and decompress each crop with libjpeg at a
            random quality, 4:2:0; None for none.

    Returns:
        From a PIL RGB image to (3, size, size) float32 in [0, 1]; ValueError with one sentence for
        an image smaller than the crop.

    Raises:
        ValueError: an argument out of its range.

    >>> image = Image.new("RGB", (40, 36), "red")
    >>> tuple(train_transform(32, jpeg_quality=(50, 90))(image).shape)
    (3, 32, 32)
    """
    if crop not in CROPS:
        raise ValueError(f"crop must be one of {', '.join(CROPS)}, got {crop!r}")
    steps = _resize(size, resize, interpolation)
    mode = v2.InterpolationMode(interpolation)
    if crop == "resized":
        steps.append(v2.RandomResizedCrop(size, interpolation=mode))
    else:
        steps.append(_NotSmallerThan(size))
        pad = crop == "pad"
        steps.append(v2.RandomCrop(size, padding=size // 8) if pad else v2.CenterCrop(size))
    if flip:
        steps.append(v2.RandomHorizontalFlip())
    if crop != "resized" and resize is None and randaugment is None and jpeg_quality is None:
        padding = size // 8 if crop == "pad" else 0
        return CropAndFlip(_to_tensor(steps), size, padding, crop == "pad", flip)
    if randaugment is not None:
        operations, magnitude = randaugment
        if operations < 1 or not 0 <= magnitude <= 30:
            raise ValueError(
                "randaugment must be (operations >= 1, magnitude 0..30), "
                f"got ({operations}, {magnitude})"
            )
        steps.append(v2.RandAugment(operations, magnitude, interpolation=mode))
    if jpeg_quality is not None:
        low, high = jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(
                f"jpeg_quality must be (lowest, highest) in 1..100, got ({low}, {high})"
            )
        steps.append(v2.JPEG((low, high)))
    return _to_tensor(steps)


def test_transform(size: int, *, resize: int | None, interpolation: str) -> Transform:
    """Resize, and take the centre.

    Args:
        size: height and width of the crop.
        resize: length of the shorter side before the crop; None for no resizing.
        interpolation: "bicubic" or "bilinear".

    Returns:
        From a PIL RGB image to (3, size, size) float32 in [0, 1]; ValueError with one sentence for
        an image smaller than the crop.

    Raises:
        ValueError: an argument out of its range.

    >>> image = Image.new("RGB", (40, 36), "lime")
    >>> test_transform(32, resize=34, interpolation="bilinear")(image)[:, 0, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    steps = _resize(size, resize, interpolation)
    transform = _to_tensor([*steps, _NotSmallerThan(size), v2.CenterCrop(size)])
    return transform if resize else CropAndFlip(transform, size)


# pytest would collect the function wherever a test imports it.
test_transform.__test__ = False  # type: ignore[attr-defined]


class _NotSmallerThan:
    """Refuse what torchvision's crops would silently pad."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, image: Image.Image) -> Image.Image:
        if min(image.size) < self.size:
            raise ValueError(
                f"the image is {image.width}x{image.height}, smaller than the crop "
                f"{self.size}x{self.size}: give a shorter side to resize to"
            )
        return image


def _resize(size: int, resize: int | None, interpolation: str) -> list[Any]:
    if interpolation not in _INTERPOLATIONS:
        known = " or ".join(_INTERPOLATIONS)
        raise ValueError(f"interpolation must be {known}, got {interpolation!r}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if resize is None:
        return []
    if resize < size:
        raise ValueError(f"resize must be at least the crop's size {size}, got {resize}")
    return [v2.Resize(resize, interpolation=v2.InterpolationMode(interpolation))]


def _to_tensor(steps: list[Any]) -> Transform:
    last = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]
    composed: Transform = v2.Compose([*steps, *last])
    return composed
