"""A sequential JPEG file to its quantized coefficients."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.color_space import color_space
from softjpeg.jpeg.damaged import read_damaged_frame
from softjpeg.jpeg.decoder import read_frame
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.markers import Segment, read_bytes, segments
from softjpeg.jpeg.subsampling import SUBSAMPLINGS, Subsampling, subsampling_name
from softjpeg.jpeg.tables import Table


@dataclass(frozen=True, eq=False)
class JPEGCoefficients:
    """What a JPEG file says about its image before dequantization."""

    components: tuple[npt.NDArray[np.int16], ...]
    """1 (gray) or 3 (Y, Cb, Cr) arrays (rows, columns, 8, 8) of quantized indices, raster order."""
    tables: tuple[Table, ...]
    """Per component its quantization table (8, 8), int64."""
    size: tuple[int, int]
    """(height, width) in pixels."""
    subsampling: Subsampling
    """"4:4:4", "4:2:2" or "4:2:0"; "4:4:4" for gray."""
    restart_interval: int
    """In MCUs; 0 = off."""


def read_coefficients(
    data: bytes | str | os.PathLike[str], *, strict: bool = True
) -> JPEGCoefficients:
    """Read the quantized DCT coefficients of a JPEG file, bit-exactly.

    Reads 8-bit baseline and extended-sequential Huffman-coded files, gray or of Y, Cb, Cr at 4:4:4,
    4:2:2 (h2v1) or 4:2:0, interleaved or not, with any restart interval. As libjpeg does it, bytes
    between segments are skipped, Annex K's Huffman codes serve where none are defined, and EOI may
    be missing; but every coefficient must be there.

    Args:
        data: the file's bytes, or its path.
        strict: refuse a file that is cut off or corrupt; else read of it what libjpeg-turbo reads
            where it warns, in Python, slowly.

    Raises:
        ValueError: not a JPEG file, of another kind (progressive, arithmetic, 12-bit, of R, G, B or
            CMYK, other subsampling), cut off or corrupt (without `strict`: so that libjpeg refuses
            it, too, or in its headers); one sentence that says which.
        OSError: the path cannot be read.

    >>> from softjpeg.jpeg.writer import write_coefficients
    >>> luma = np.arange(-64, 64).reshape(1, 2, 8, 8)
    >>> read = read_coefficients(write_coefficients([luma], np.full((8, 8), 9), size=(8, 16)))
    >>> np.array_equal(read.components[0], luma), read.tables[0][0, 0], read.size
    (True, np.int64(9), (8, 16))
    """
    frame, pieces = read_frame_of(data, strict=strict)
    if len(frame.planes) not in (1, 3):
        raise ValueError(
            f"data has {len(frame.planes)} components; only gray (1) and colour (3) can be read"
        )
    space = color_space(frame.identifiers, pieces)
    if space == "RGB":
        raise ValueError(
            "data holds R, G, B, not Y, Cb, Cr: its coefficients would be shown in other colours"
        )
    return JPEGCoefficients(
        components=frame.planes,
        tables=frame.tables,
        size=frame.size,
        subsampling=_subsampling(frame.factors),
        restart_interval=frame.restart_interval,
    )


def read_frame_of(
    data: bytes | str | os.PathLike[str], *, strict: bool = True
) -> tuple[Frame, list[Segment]]:
    """The frame of a sequential file with any components and sampling, and the file's segments.

    Raises:
        ValueError: as for `read_coefficients`.
        OSError: the path cannot be read.
    """
    data = read_bytes(data)
    try:
        pieces = segments(data)
        return read_frame(pieces), pieces
    except ValueError:
        if strict:
            raise
    return read_damaged_frame(data)


def _subsampling(factors: Sequence[tuple[int, int]]) -> Subsampling:
    name = "4:4:4" if len(factors) == 1 else subsampling_name(factors)
    if name in SUBSAMPLINGS:
        return name
    raise ValueError(
        f"data has sampling factors {tuple(factors)}; only {', '.join(SUBSAMPLINGS)} can be read"
    )
