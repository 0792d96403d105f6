"""Turning Pillow's images upright and their samples to 8 bits, whatever their metadata say."""

from __future__ import annotations

import numpy as np
from PIL import Image

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF = ("exif", "Raw profile type exif", "Raw profile type APP1", "xmp", "XML:com.adobe.xmp")
_16_BIT_FORMATS = ("PPM", "PNG")
"""Whose 16-bit samples Pillow keeps in 32 bits, in some version."""


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1..8; 1, upright, where the metadata are damaged or say nothing of it.

    >>> image = Image.new("L", (8, 8))
    >>> image.info["exif"] = b"broken"
    >>> orientation(image)
    1
    """
    try:
        value = image.getexif().get(_ORIENTATION)
    # Damaged EXIF makes Pillow raise SyntaxError, struct.error and others; the image is still good.
    except Exception:
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its orientation says, which is gone from the turned one.

    >>> image = Image.new("L", (8, 2))
    >>> image.getexif()[0x0112] = 6
    >>> upright(image).size, orientation(upright(image))
    ((2, 8), 1)
    """
    turn = _TURNS.get(orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    turned.info = {name: value for name, value in turned.info.items() if name not in _EXIF}
    return turned


def to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit samples scaled to 8; an image of 8 bits as it is.

    Raises:
        ValueError: 32-bit samples, which have no known range.

    >>> to_8_bits(Image.new("I;16", (1, 1), 0x1234)).getpixel((0, 0)) == 0x12
    True
    """
    # Pillow would clip 16 bits to 8, not scale them.
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "I" and image.format in _16_BIT_FORMATS:
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f'image must not have mode "{image.mode}": 32-bit samples have no known range'
        )
    return image


def of_same_pixels(image: Image.Image) -> Image.Image:
    """Another image of the same pixels, which are not copied: who draws into one changes both.

    >>> image = Image.new("L", (2, 1))
    >>> other = of_same_pixels(image)
    >>> other == image, other is image
    (True, False)
    """
    image.load()
    # What lies in a mapped file may change, or be gone with it.
    return image.copy() if image.readonly else image._new(image.im)
