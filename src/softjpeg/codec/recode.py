"""Any sequential JPEG file again, with the same coefficients and fewer bytes."""

from __future__ import annotations

import dataclasses
import os

from softjpeg.codec.metadata import display_metadata_of_file
from softjpeg.jpeg.color_space import adobe_payload, color_space
from softjpeg.jpeg.markers import APP14, build, insert_after_header
from softjpeg.jpeg.progressive import smaller_as_progressive
from softjpeg.jpeg.reader import read_frame_of
from softjpeg.jpeg.writer import Header, write_frame

_RGB = tuple(b"RGB")


def recode(
    data: bytes | str | os.PathLike[str],
    *,
    header: Header = "compact",
    optimize: bool = True,
    progressive: bool = False,
    metadata: bool = True,
    strict: bool = True,
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
        strict: refuse a file that is cut off or corrupt; else write what libjpeg-turbo reads of it,
            as `read_coefficients` does.

    Raises:
        ValueError: `data` is not a sequential 8-bit Huffman-coded JPEG file, or it is corrupt.
        OSError: the path cannot be read.
        ImportError: `progressive` without its package.

    >>> import io
    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (16, 16), "red").save(buffer, "jpeg")
    >>> len(buffer.getvalue()), len(recode(buffer.getvalue()))
    (633, 218)
    """
    frame, pieces = read_frame_of(data, strict=strict)
    space = color_space(frame.identifiers, pieces)
    frame = dataclasses.replace(
        frame,
        identifiers=_RGB if space == "RGB" else (1, 2, 3, 4)[: len(frame.planes)],
        restart_interval=0,
    )
    recoded = write_frame(frame, optimize=optimize, header=header)
    # Without it RGB, CMYK and YCCK would be shown in other colours.
    adobe = adobe_payload(pieces)
    if adobe is not None and space in ("RGB", "CMYK", "YCCK"):
        recoded = insert_after_header(recoded, build(APP14, adobe))
    if progressive:
        recoded = smaller_as_progressive(recoded)
    if metadata:
        recoded = insert_after_header(recoded, display_metadata_of_file(pieces, space))
    return recoded
