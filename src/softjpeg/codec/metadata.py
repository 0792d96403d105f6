"""The metadata that change how a picture is shown: EXIF orientation and ICC profile."""

from __future__ import annotations

import struct

from PIL import Image

_ORIENTATION = 0x0112
_ICC_CHUNK = 65535 - 2 - 14
_ICC_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}


def display_metadata(image: Image.Image, mode: str) -> bytes:
    """APP1 and APP2 segments for a JPEG file of `mode` ("L", "RGB", "CMYK") made from `image`.

    EXIF holds the orientation alone; a profile for another colour space than the file's is left
    out.

    Returns:
        The segments; empty for an upright image without a profile.

    >>> image = Image.new("RGB", (8, 8))
    >>> display_metadata(image, "RGB")
    b''
    >>> image.getexif()[0x0112] = 6
    >>> len(display_metadata(image, "RGB"))
    36
    """
    segments = b""
    orientation = _orientation(image)
    if orientation in range(2, 9):
        # Big-endian TIFF: one directory at byte 8 with one entry, a SHORT.
        tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
        segments += _app(1, b"Exif\0\0" + tiff)
    profile: bytes = image.info.get("icc_profile") or b""
    if profile[16:20] == _ICC_SPACES[mode]:
        chunks = [profile[at : at + _ICC_CHUNK] for at in range(0, len(profile), _ICC_CHUNK)]
        for number, chunk in enumerate(chunks, 1):
            segments += _app(2, b"ICC_PROFILE\0" + bytes([number, len(chunks)]) + chunk)
    return segments


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION)
    # Damaged EXIF makes Pillow raise SyntaxError, struct.error and others; the image is still good.
    except Exception:
        return None


def _app(number: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, 0xE0 + number, len(payload) + 2) + payload
