"""The colour space that a JPEG file's components are in, as libjpeg takes it from the headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from softjpeg.jpeg.markers import Segment

ColorSpace = Literal["gray", "YCbCr", "RGB", "CMYK", "YCCK", "unknown"]

COMPONENT_NAMES: dict[ColorSpace, tuple[str, ...]] = {
    "gray": ("Y",),
    "YCbCr": ("Y", "Cb", "Cr"),
    "RGB": ("R", "G", "B"),
    "CMYK": ("C", "M", "Y", "K"),
    "YCCK": ("Y", "Cb", "Cr", "K"),
}


def color_space(identifiers: Sequence[int], pieces: Sequence[Segment]) -> ColorSpace:
    """What a decoder takes a frame's components for, whatever they are called.

    JFIF means Y, Cb, Cr; else Adobe's marker says it; else the identifiers R, G, B do.

    Args:
        identifiers: of the frame's components.
        pieces: the file's segments.

    Returns:
        "unknown" for other numbers of components than 1, 3 and 4.

    >>> adobe = Segment("APP14", 2, 16, b"Adobe" + bytes([0, 100, 0, 0, 0, 0, 0]))
    >>> color_space([1, 2, 3], []), color_space([1, 2, 3], [adobe]), color_space(b"RGB", [])
    ('YCbCr', 'RGB', 'RGB')
    """
    adobe = adobe_payload(pieces)
    # Transform 0: the components are as they were given to the encoder.
    untransformed = adobe is not None and adobe[11] == 0
    if len(identifiers) == 1:
        return "gray"
    if len(identifiers) == 3:
        is_named = adobe is None and tuple(identifiers) == tuple(b"RGB")
        return "RGB" if not _is_jfif(pieces) and (untransformed or is_named) else "YCbCr"
    if len(identifiers) == 4:
        return "CMYK" if adobe is None or untransformed else "YCCK"
    return "unknown"


def adobe_payload(pieces: Sequence[Segment]) -> bytes | None:
    """Of Adobe's APP14 segment, the last one before the image as libjpeg reads them, if any."""
    found = None
    for piece in pieces:
        if piece.name == "SOS":
            break
        if piece.name == "APP14" and len(piece.payload) >= 12 and piece.payload[:5] == b"Adobe":
            found = piece.payload
    return found


def _is_jfif(pieces: Sequence[Segment]) -> bool:
    before = pieces[: next((i for i, p in enumerate(pieces) if p.name == "SOS"), None)]
    return any(
        p.name == "APP0" and len(p.payload) >= 14 and p.payload[:5] == b"JFIF\0" for p in before
    )
