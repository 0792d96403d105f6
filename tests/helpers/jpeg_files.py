"""JPEG files as Pillow writes them, and damaged ones."""

import io

import numpy as np
from PIL import Image


def noise(mode="RGB", size=(50, 34)):
    """A Pillow image of (width, height)."""
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def jpeg(image=None, **options):
    """The bytes of an image's file, of `noise` by default; options as for Pillow."""
    buffer = io.BytesIO()
    (image or noise()).save(buffer, "jpeg", **options)
    return buffer.getvalue()


DAMAGED = [
    (jpeg()[:100], "data is cut off"),
    (bytes.fromhex("ffd8ffd9"), r"data holds no JPEG frame \(SOF segment\)"),
    (
        bytes.fromhex("ffd8 ffc0000b 0800010001 01 011100 ffd9"),
        r"data holds no quantization table \(DQT segment\)",
    ),
    (
        bytes.fromhex("ffd8 ffdb0004 0001 ffc0000b 0800010001 01 011100 ffd9"),
        "DQT ends inside a table",
    ),
    (b"GIF89a", "must start with the JPEG marker"),
]
"""Files, and what errors say of them."""
