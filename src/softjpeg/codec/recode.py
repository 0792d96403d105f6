"""Any sequential JPEG file again, with the same coefficients and fewer bytes."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Sequence

from PIL import Image

from softjpeg.codec.metadata import display_metadata
from softjpeg.jpeg.markers import Segment, insert_after_header, read_bytes, segments
from softjpeg.jpeg.progressive import smaller_as_progressive
from softjpeg.jpeg.reader import read_frame
from softjpeg.jpeg.writer import Header, write_frame

_RGB = tuple(b"RGB")


def recode(
    data: bytes | str | os.PathLike[str],
    *,
    header: Header = "compact",
    optimize: bool = True,
    progressive: bool = False,
    metadata: bool = True,
) -> bytes:
    """Write a baseline JPEG file anew, without loss: every coefficient stays what it was.

    Gray, colour or CMYK at any sampling; restart markers are left out.

    Args:
        data: the file's bytes, or its path.
        header: "jfif" or "compact", see `write_coefficients`.
        optimize: compute optimal Huffman tables, else use those of Annex K.
        progressive: make a progressive file where that is smaller, see `smaller_as_progressive`.
        metadata: keep what tells how the picture is shown (EXIF orientation, ICC profile); all
            other metadata is left out.

    Raises:
        ValueError: `data` is not a sequential 8-bit Huffman-coded JPEG file, or it is corrupt.
        ImportError: `progressive` without its package.

    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (16, 16), "red").save(buffer, "jpeg")
    >>> len(buffer.getvalue()), len(recode(buffer.getvalue()))
    (633, 218)
    """
    data = read_bytes(data)
    pieces = segments(data)
    frame = read_frame(pieces)
    adobe = _adobe(pieces)
    is_rgb = len(frame.identifiers) == 3 and _is_rgb(pieces, frame.identifiers)
    frame = dataclasses.replace(
        frame,
        identifiers=_RGB if is_rgb else (1, 2, 3, 4)[: len(frame.planes)],
        restart_interval=0,
    )
    recoded = write_frame(frame, optimize=optimize, header=header)
    # Without it RGB, CMYK and YCCK would be shown in other colours.
    extra = adobe if is_rgb or len(frame.planes) == 4 else b""
    recoded = insert_after_header(recoded, extra)
    if progressive:
        recoded = smaller_as_progressive(recoded)
    if metadata:
        with Image.open(io.BytesIO(data)) as image:
            recoded = insert_after_header(recoded, display_metadata(image, image.mode))
    return recoded


def _adobe(pieces: Sequence[Segment]) -> bytes:
    """Adobe's APP14 segment, which names the colour space, if there is one."""
    for piece in pieces:
        if piece.name == "APP14" and piece.payload.startswith(b"Adobe"):
            return b"\xff\xee" + (len(piece.payload) + 2).to_bytes(2, "big") + piece.payload
    return b""


def _is_rgb(pieces: Sequence[Segment], identifiers: Sequence[int]) -> bool:
    """Whether libjpeg takes three components for R, G, B instead of Y, Cb, Cr."""
    if any(piece.name == "APP0" and piece.payload.startswith(b"JFIF\0") for piece in pieces):
        return False
    adobe = _adobe(pieces)
    return adobe[15] == 0 if len(adobe) >= 16 else tuple(identifiers) == _RGB
