"""What a network does to an image of any size before it reads it: resizing and a crop.

Differentiable, and equal to what Pillow and torchvision do to the same 8-bit image: both resize
along rows and then along columns, and round to whole levels after each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.functional.straight_through import clamp, round_half_up

Fit = Literal["shorter", "longer", "squash", "letterbox"]
Interpolation = Literal["bicubic", "bilinear"]

_MOST_ENLARGED = 1 << 26
"""Pixels: a gigabyte in float, many times over in a network. Only strips of pixels get there."""


@dataclass(frozen=True)
class Preprocessing:
    """Resizing, then a centre crop.

    Attributes:
        resize: side in pixels that `fit` is about, or (height, width); None for no resizing.
        fit: "shorter": the shorter side becomes `resize`; "longer": the longer one; "squash": both
            sides, whatever the shape; "letterbox": as "longer", then grey bars up to a square.
        crop: (height, width) about the centre; None for no crop.
        interpolation: "bicubic" or "bilinear", antialiased where it shrinks, as Pillow's are.

    Raises:
        ValueError: an unknown fit or interpolation, or a side below 1.

    >>> Preprocessing(256, crop=(224, 224)).resized((375, 500))
    (256, 341)
    """

    resize: int | tuple[int, int] | None = None
    fit: Fit = "shorter"
    crop: tuple[int, int] | None = None
    interpolation: Interpolation = "bicubic"

    def __post_init__(self) -> None:
        for name, kind in (("fit", Fit), ("interpolation", Interpolation)):
            value: Any = getattr(self, name)
            if value not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ValueError(f"{name} must be one of {known}, got {value!r}")
        if isinstance(self.resize, tuple) and self.fit != "squash":
            raise ValueError(f"resize must be one side for fit {self.fit}, got {self.resize}")
        for name in ("resize", "crop"):
            value = getattr(self, name)
            sides = value if isinstance(value, tuple) else (1 if value is None else value,)
            if min(sides) < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) after resizing an image of (height, width), rounded as torchvision does.

        >>> Preprocessing(224, "letterbox").resized((100, 300))
        (74, 224)
        """
        if self.resize is None:
            return size
        if isinstance(self.resize, tuple):
            return self.resize
        if self.fit == "squash":
            return self.resize, self.resize
        side = min(size) if self.fit == "shorter" else max(size)
        height, width = (max(1, self.resize * length // side) for length in size)
        return height, width

    def __call__(self, images: Tensor, *, rounding: bool = True) -> Tensor:
        """What the network reads of images of one size.

        Args:
            images: (B, 3, H, W) RGB in [0, 1].
            rounding: round and clamp to whole levels after each direction, straight-through.

        Returns:
            (B, 3, height, width) in [0, 1].

        Raises:
            ValueError: the resized image is smaller than the crop, or enlarged beyond measure.
        """
        height, width = self.resized((images.shape[-2], images.shape[-1]))
        if height * width > max(_MOST_ENLARGED, images.shape[-2] * images.shape[-1]):
            raise ValueError(f"resized to {width}x{height}, an image does not fit into memory")
        for size in ((images.shape[-2], width), (height, width)):
            if size != (images.shape[-2], images.shape[-1]):
                images = F.interpolate(images, size, mode=self.interpolation, antialias=True)
                if rounding:
                    images = clamp(round_half_up(255 * images), 0, 255) / 255
        if self.fit == "letterbox":
            images = _square(images)
        return images if self.crop is None else _centre(images, self.crop)


class Preprocessed(nn.Module):
    """A network that reads images of any size, through its own preprocessing.

    Args:
        network: from (B, 3, height, width) RGB in [0, 1], of the size that `preprocessing` leaves.
        preprocessing: applied to each batch of images of one size.

    >>> import torch
    >>> network = Preprocessed(nn.Flatten(), Preprocessing(8, crop=(6, 6)))
    >>> tuple(network(torch.rand(2, 3, 30, 20)).shape)
    (2, 108)
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network, self.preprocessing = network, preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1], any H and W → the network's output."""
        output: Tensor = self.network(self.preprocessing(images))
        return output


def _centre(images: Tensor, crop: tuple[int, int]) -> Tensor:
    height, width = images.shape[-2:]
    if height < crop[0] or width < crop[1]:
        raise ValueError(
            f"an image resized to {width}x{height} is smaller than the crop {crop[1]}x{crop[0]}"
        )
    top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return images[..., top : top + crop[0], left : left + crop[1]]


def _square(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    bars = (left, side - width - left, top, side - height - top)
    return F.pad(images, bars, value=0.5)
