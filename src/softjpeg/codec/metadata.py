"""The metadata that change how a picture is shown: EXIF orientation and ICC profile."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence

from PIL import Image

from softjpeg.common.image_samples import orientation
from softjpeg.jpeg.color_space import ColorSpace
from softjpeg.jpeg.markers import Segment, build

_ORIENTATION = 0x0112
_APP1, _APP2 = 0xE1, 0xE2
_EXIF, _ICC = b"Exif\0\0", b"ICC_PROFILE\0"
_ICC_CHUNK = 65535 - 2 - 14
_MOST_CHUNKS = 255
_ICC_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_MODES: dict[ColorSpace, str] = {"gray": "L", "CMYK": "CMYK", "YCCK": "CMYK"}


def display_metadata(image: Image.Image, mode: str) -> bytes:
    """APP1 and APP2 segments for a JPEG file of `mode` ("L", "RGB", "CMYK") made from `image`.

    EXIF holds the orientation alone; a profile for another colour space than the file's is left
    out, and one that is too long for a JPEG file, with a warning.

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
    turned = orientation(image)
    if turned > 1:
        # Big-endian TIFF: one directory at byte 8 with one entry, a SHORT.
        tiff = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, turned, 0, 0)
        segments += build(_APP1, _EXIF + tiff)
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or profile[16:20] != _ICC_SPACES[mode]:
        return segments
    chunks = [profile[at : at + _ICC_CHUNK] for at in range(0, len(profile), _ICC_CHUNK)]
    if len(chunks) > _MOST_CHUNKS:
        warnings.warn(
            f"the ICC profile of {len(profile)} bytes is left out: a JPEG file holds "
            f"{_MOST_CHUNKS * _ICC_CHUNK} at most",
            stacklevel=3,
        )
        return segments
    for number, chunk in enumerate(chunks, 1):
        segments += build(_APP2, _ICC + bytes([number, len(chunks)]) + chunk)
    return segments


def display_metadata_of_file(pieces: Sequence[Segment], space: ColorSpace) -> bytes:
    """`display_metadata` of a JPEG file in pieces, whose colour space stays what it is."""
    mode = _MODES.get(space, "RGB")
    # Only a carrier: the file's own pixels are no matter here, however many they are.
    carrier = Image.new(mode, (1, 1))
    exif = [p.payload for p in pieces if p.name == "APP1" and p.payload.startswith(_EXIF)]
    if exif:
        carrier.info["exif"] = _EXIF + b"".join(payload[len(_EXIF) :] for payload in exif)
    header = len(_ICC) + 2
    chunks = sorted(
        (p.payload[len(_ICC) : header], p.payload[header:])
        for p in pieces
        if p.name == "APP2" and p.payload.startswith(_ICC) and len(p.payload) >= header
    )
    if [place for place, _ in chunks] == [bytes([n, len(chunks)]) for n in range(1, 256)][
        : len(chunks)
    ]:
        carrier.info["icc_profile"] = b"".join(chunk for _, chunk in chunks)
    return display_metadata(carrier, mode)
