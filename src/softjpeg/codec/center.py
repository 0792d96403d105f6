"""What a centre crop never shows: of its blocks the means are stored, and nothing else.

Networks that resize the shorter side and crop the centre read a square: 57 % of a 500x375 photo, if
they crop 224 of 256. Outside it, luma's mean of every 8x8 pixels and chroma's of every 16x16 are
left, the blocks' DC coefficients: a few bits each, which still show people what was there.
"""

from __future__ import annotations

import math

from PIL import Image

_MCU = 16
"""Pixels: of a chroma block in 4:2:0."""
_BLOCK = 8


def center_box(size: tuple[int, int], center: float) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what is stored whole, its sides on multiples of 16 pixels.

    Args:
        size: (height, width) of the stored image.
        center: side of the square about the middle, as a share of the shorter side.

    >>> center_box((375, 500), 0.9)
    (80, 16, 432, 368)
    >>> center_box((375, 500), 0.01)
    (240, 176, 256, 192)
    """
    height, width = size
    half = center * min(size) / 2
    left, top = (max(0, math.floor(side / 2 - half) // _MCU * _MCU) for side in (width, height))
    right, bottom = (
        min(side, math.ceil((side / 2 + half) / _MCU) * _MCU) for side in (width, height)
    )
    return left, top, right, bottom


def means_outside(picture: Image.Image, center: float | None) -> Image.Image:
    """A picture, RGB or gray, whose blocks outside of the centre are flat; itself for None.

    >>> picture = Image.linear_gradient("L")
    >>> flat = means_outside(picture, 0.5)
    >>> flat.crop((64, 64, 192, 192)) == picture.crop((64, 64, 192, 192))
    True
    >>> flat.crop((0, 0, 8, 8)).getextrema()
    (4, 4)
    """
    if center is None:
        return picture
    box = center_box((picture.height, picture.width), center)
    if box == (0, 0, *picture.size):
        return picture
    means = _means(picture)
    size = (means.width * _BLOCK, means.height * _BLOCK)
    flat = means.resize(size, Image.Resampling.NEAREST).crop((0, 0, *picture.size))
    flat.paste(picture.crop(box), box[:2])
    return flat


def _means(picture: Image.Image) -> Image.Image:
    """A pixel for every block."""
    blocks = picture.reduce(_BLOCK)
    if picture.mode == "L":
        return blocks
    luma = blocks.convert("YCbCr").getchannel(0)
    units = picture.reduce(_MCU).convert("YCbCr")
    twice = units.resize((2 * units.width, 2 * units.height), Image.Resampling.NEAREST)
    chroma = twice.crop((0, 0, *luma.size)).split()[1:]
    return Image.merge("YCbCr", (luma, *chroma)).convert("RGB")
