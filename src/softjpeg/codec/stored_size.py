"""Fewer pixels in the file than in the photo: the stored size, an encoding parameter like any.

Networks resize what the decoder shows; what they do not read need not be stored. Photos are never
enlarged, and their shape stays, to a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from softjpeg.codec.center import means_outside
from softjpeg.common.image_planes import picture_of, planes_of

if TYPE_CHECKING:
    from torch import Tensor

    from softjpeg.common.image_sequence import Images
    from softjpeg.presets.preset import Preset


def stored_size(size: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """(height, width) of the file of an image of (height, width).

    Args:
        size: of the image, in pixels.
        short_side: most pixels of the shorter side; None for the image's own size.

    >>> stored_size((375, 500), 256), stored_size((375, 500), 400)
    ((256, 341), (375, 500))
    """
    if short_side is None or min(size) <= short_side:
        return size
    height, width = (max(1, round(short_side * side / min(size))) for side in size)
    return height, width


def shrunk(picture: Image.Image, short_side: int | None) -> Image.Image:
    """A picture at its stored size, by Pillow's Lanczos filter; itself where it is no larger.

    >>> shrunk(Image.new("L", (500, 375)), 256).size
    (341, 256)
    """
    height, width = stored_size((picture.height, picture.width), short_side)
    if (width, height) == picture.size:
        return picture
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def stored_picture(picture: Image.Image, preset: Preset) -> Image.Image:
    """What a preset stores of a picture, RGB or gray: at its size, whole in its centre.

    >>> from softjpeg.presets.preset import Preset
    >>> stored_picture(Image.new("L", (500, 375)), Preset.from_quality(50)).size
    (500, 375)
    """
    return means_outside(shrunk(picture, preset.short_side), preset.center)


def stored_images(images: Images, short_side: int | None, center: float | None = None) -> Images:
    """The same of images uint8; all of them are in memory then, unless nothing is to be done.

    Args:
        images: (3 or 1, H, W) each.
        short_side, center: as `Preset` has them.

    >>> import torch
    >>> [tuple(i.shape) for i in stored_images(torch.zeros(1, 3, 375, 500, dtype=torch.uint8), 256)]
    [(3, 256, 341)]
    """
    if short_side is None and center is None:
        return images
    return [_stored_pixels(image, short_side, center) for image in images]


def _stored_pixels(image: Tensor, short_side: int | None, center: float | None) -> Tensor:
    size = (image.shape[-2], image.shape[-1])
    if stored_size(size, short_side) == size and center is None:
        return image
    return planes_of(means_outside(shrunk(picture_of(image), short_side), center))
