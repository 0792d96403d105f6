"""Transparent pictures on a background: JPEG has no transparency."""

from __future__ import annotations

from PIL import Image

Color = tuple[int, int, int]
"""RGB, 0..255."""

WHITE: Color = (255, 255, 255)

_ALPHA = ("RGBA", "RGBa", "LA", "La", "PA")


def has_transparency(image: Image.Image) -> bool:
    """Whether a picture has an alpha channel, or a colour that counts as transparent."""
    if image.mode in ("L", "RGB"):
        # One of its own colours; programs leave other values behind when they convert.
        wanted = int if image.mode == "L" else tuple
        return isinstance(image.info.get("transparency"), wanted)
    return image.mode in _ALPHA or (image.mode == "P" and "transparency" in image.info)


def on_background(image: Image.Image, background: Color = WHITE) -> tuple[Image.Image, bool]:
    """A picture on a colour.

    Args:
        image: of any mode that `has_transparency`.
        background: under what is transparent.

    Returns:
        (picture, shows): mode "RGB", with the ICC profile of the image, and whether the background
        shows anywhere.

    >>> image = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    >>> picture, shows = on_background(image)
    >>> picture.getpixel((0, 0)), shows
    ((255, 255, 255), True)
    """
    layer = image.convert("RGBA")
    shows = layer.getchannel("A").getextrema() != (255, 255)
    if shows:
        base = Image.new("RGBA", layer.size, (*background, 255))
        base.alpha_composite(layer)
    else:
        base = layer
    picture = base.convert("RGB")
    picture.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return picture, shows
