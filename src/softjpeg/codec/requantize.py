"""A JPEG file's own coefficients with other tables: no pixels, no colours, one rounding.

Through pixels a JPEG is rounded three times more than its new tables ask for: to samples, to RGB,
and to YCbCr again; its chroma is enlarged and shrunk. Here each coefficient is dequantized, divided
by the new step and rounded, and that is all; what is linear is done before.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.dct_downsampling import coarser, subsampled
from softjpeg.codec.image import encode_coefficients
from softjpeg.codec.metadata import display_metadata
from softjpeg.common.image_samples import orientation
from softjpeg.jpeg.entropy.limits import MAX_AC, MAX_DC, MIN_DC
from softjpeg.jpeg.markers import insert_after_header, read_bytes
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import Table
from softjpeg.jpeg.writer import Header
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

Coefficients = npt.NDArray[np.float32]

_LEAST = np.full((8, 8), -MAX_AC, dtype=np.float32)
_LEAST[0, 0] = MIN_DC


@dataclass(frozen=True, eq=False)
class Dequantized:
    """What a JPEG file's coefficients stand for.

    Attributes:
        components: 1 (gray) or 3 (Y, Cb, Cr) arrays (rows, columns, 8, 8) of whole numbers.
        size: (height, width) in pixels.
        subsampling: of the file; "4:4:4" for gray.
        picture: the file as Pillow opens it, without its pixels.
        metadata: keep the EXIF orientation and ICC profile.
    """

    components: tuple[Coefficients, ...]
    size: tuple[int, int]
    subsampling: Subsampling
    picture: Image.Image
    metadata: bool = True

    def encoded(
        self,
        preset: Preset,
        *,
        optimize: bool = True,
        header: Header = "jfif",
        progressive: bool = False,
        gray: bool = False,
    ) -> bytes:
        """The file with a preset's tables, see `requantize`.

        Args:
            preset: tables, and the finest subsampling of chroma.
            optimize, header, progressive, gray: of `softjpeg.encode`.
        """
        check_stores_whole(preset)
        tables = (preset.luma, preset.chroma, preset.chroma)
        used = self.components[:1] if gray else self.components
        sampling = self.subsampling
        if len(used) == 3:
            sampling = coarser(sampling, preset.subsampling)
            used = subsampled(used, self.subsampling, sampling)
        data = encode_coefficients(
            [requantized(plane, table) for plane, table in zip(used, tables, strict=False)],
            replace(preset, subsampling=sampling),
            size=self.size,
            optimize=optimize,
            header=header,
            progressive=progressive,
        )
        if not self.metadata:
            return data
        return insert_after_header(
            data, display_metadata(self.picture, "L" if len(used) == 1 else "RGB")
        )

    def encoded_choosing(
        self, tables: Preset | Callable[[Any], Preset] | ByteLimit, **options: Any
    ) -> tuple[bytes, int | None]:
        """The file, and the quality where a limit of bytes has chosen it.

        Args:
            tables: a preset, for all images or for each, or a limit.
            options: of `encoded`.
        """
        if isinstance(tables, ByteLimit):
            return tables.chosen(lambda preset: self.encoded(preset, **options))
        preset = tables(self.picture) if callable(tables) else tables
        return self.encoded(preset, **options), None


def requantize(
    data: bytes | str | os.PathLike[str],
    preset: Preset | Callable[[Any], Preset],
    *,
    optimize: bool = True,
    header: Header = "jfif",
    progressive: bool = False,
    gray: bool = False,
    metadata: bool = True,
) -> bytes:
    """Write a JPEG file anew with a preset's tables, in the DCT domain.

    Every coefficient is dequantized, divided by the preset's step and rounded, halves away from
    zero as libjpeg does it; beyond what baseline JPEG holds (-1024..1023 for DC, ±1023 for AC) it
    gets the nearest value. Chroma is never enlarged: where the preset's subsampling is coarser than
    the file's, its means are taken, in the DCT domain, and else the file's own stays.

    Args:
        data: the file's bytes, or its path; sequential, gray or of Y, Cb, Cr, as
            `read_coefficients` takes it.
        preset: tables; or a function that gives a preset for the Pillow image.
        optimize, header, progressive: of `softjpeg.encode`.
        gray: leave out chroma.
        metadata: keep the EXIF orientation and ICC profile.

    Raises:
        ValueError: a file of another kind (progressive, CMYK, 12-bit, other subsampling), cut off
            or corrupt; one that is shown turned, without its metadata; or a preset that stores
            another size or the centre alone.
        OSError: the path cannot be read.
        ImportError: `progressive` without its package.

    >>> from softjpeg.codec.image import encode
    >>> ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    >>> fine = encode(ramp, Preset.from_quality(90))
    >>> coarse = requantize(fine, Preset.from_quality(10))
    >>> len(fine) > len(coarse), requantize(coarse, Preset.from_quality(10)) == coarse
    (True, True)
    """
    source = read_dequantized(read_bytes(data), metadata)
    options: dict[str, Any] = {"optimize": optimize, "header": header, "progressive": progressive}
    return source.encoded_choosing(preset, gray=gray, **options)[0]


def read_dequantized(data: bytes, metadata: bool = True) -> Dequantized:
    """What the coefficients of a JPEG file stand for.

    Args:
        data: the file.
        metadata: keep the EXIF orientation and ICC profile.

    Raises:
        ValueError: of a file that `requantize` does not take.
    """
    read = read_coefficients(data)
    try:
        picture = Image.open(io.BytesIO(data))
    # Damaged segments make Pillow raise OSError, SyntaxError, struct.error and others.
    except Exception as error:
        raise ValueError(f"data cannot be opened as an image: {error}") from error
    if not metadata and orientation(picture) > 1:
        raise ValueError("data is shown turned: without metadata only its pixels can be")
    planes = zip(read.components, read.tables, strict=True)
    components = tuple(dequantized(plane, table) for plane, table in planes)
    return Dequantized(components, read.size, read.subsampling, picture, metadata)


def dequantized(indices: npt.NDArray[np.int16], table: Table) -> Coefficients:
    """What quantized indices stand for.

    Args:
        indices: (rows, columns, 8, 8).
        table: their steps (8, 8), 1..65535.
    """
    coefficients = indices.astype(np.float32)
    coefficients *= table.astype(np.float32)
    return coefficients


def requantized(coefficients: Coefficients, table: Table) -> npt.NDArray[np.int16]:
    """The nearest indices, halves away from zero, within what baseline JPEG holds.

    Args:
        coefficients: whole numbers (rows, columns, 8, 8).
        table: the steps (8, 8), 1..255.

    >>> coefficients = np.full((1, 1, 8, 8), -24, np.float32)
    >>> requantized(coefficients, np.full((8, 8), 16))[0, 0, 0, 0]
    np.int16(-2)
    """
    # Of whole numbers below 2**22 a quotient by a step never rounds to the half beside it; what is
    # larger is beyond the range by any step.
    quotients = coefficients / table.astype(np.float32)
    quotients += np.copysign(np.float32(0.5), quotients)
    np.clip(quotients, _LEAST, MAX_DC, out=quotients)
    indices: npt.NDArray[np.int16] = quotients.astype(np.int16)  # Towards zero.
    return indices


def check_stores_whole(tables: Any) -> None:
    """Refuse what stores another size than the image's, or its centre alone.

    Args:
        tables: a preset, a ladder, or what has one.

    Raises:
        ValueError: it does.
    """
    tables = tables if isinstance(tables, Preset | Ladder) else tables.ladder
    for preset in (tables,) if isinstance(tables, Preset) else tables.rungs:
        if preset.short_side is not None or preset.center is not None:
            raise ValueError(
                "requantizing keeps every block where it is: no short_side and no center, got "
                f"{preset.short_side} and {preset.center} (--short-side keep --center none)"
            )
