"""Quantization tables as other programs read them, and those of any .jpg."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softjpeg.jpeg.tables import Table, validate_table


def to_pillow(luma: Any, chroma: Any | None = None) -> list[list[int]]:
    """Tables as Pillow's ``qtables=`` wants them: lists of 64, raster order.

    Pass no ``quality`` beside them: Pillow would scale the tables by it.

    >>> from softjpeg.jpeg.tables import quality_tables
    >>> [len(table) for table in to_pillow(*quality_tables(50))]
    [64, 64]
    """
    named = [("luma", luma)] + ([] if chroma is None else [("chroma", chroma)])
    return [validate_table(name, table).reshape(64).tolist() for name, table in named]


def to_cjpeg(luma: Any, chroma: Any) -> str:
    """Tables as the text file that ``cjpeg -qtables FILE`` (and jpegtran's kin) reads.

    >>> from softjpeg.jpeg.tables import quality_tables
    >>> print(to_cjpeg(*quality_tables(50)).splitlines()[1])
     16  11  10  16  24  40  51  61
    """
    return "\n".join(
        f"# {name}\n" + "\n".join("".join(f"{v:4d}" for v in row)[1:] for row in table) + "\n"
        for name, table in _both(luma, chroma)
    )


def to_imagemagick(luma: Any, chroma: Any) -> str:
    """Tables as the XML that ImageMagick's ``-define jpeg:q-table=FILE`` reads.

    >>> from softjpeg.jpeg.tables import quality_tables
    >>> to_imagemagick(*quality_tables(50)).splitlines()[0]
    '<quantization-tables>'
    """
    lines = ["<quantization-tables>"]
    for slot, (name, table) in enumerate(_both(luma, chroma)):
        lines.append(f'  <table slot="{slot}" alias="softjpeg-{name}">')
        lines.append(f"    <description>softjpeg {name} table</description>")
        lines.append('    <levels width="8" height="8" divisor="1">')
        lines.append(",\n".join("      " + ", ".join(f"{v:3d}" for v in row) for row in table))
        lines.append("    </levels>")
        lines.append("  </table>")
    return "\n".join([*lines, "</quantization-tables>", ""])


def to_c_header(luma: Any, chroma: Any) -> str:
    """Tables as a C header with two ``unsigned char [64]`` arrays, raster order.

    >>> from softjpeg.jpeg.tables import quality_tables
    >>> to_c_header(*quality_tables(50)).splitlines()[2]
    'static const unsigned char softjpeg_luma[64] = {'
    """
    lines = ["#ifndef SOFTJPEG_TABLES_H", "#define SOFTJPEG_TABLES_H"]
    for name, table in _both(luma, chroma):
        lines.append(f"static const unsigned char softjpeg_{name}[64] = {{")
        lines.append(",\n".join("    " + ", ".join(f"{v:3d}" for v in row) for row in table))
        lines.append("};")
    return "\n".join([*lines, "#endif", ""])


EXPORTS = {"cjpeg": to_cjpeg, "imagemagick": to_imagemagick, "c": to_c_header}


def read_tables(file: str | os.PathLike[str] | bytes) -> tuple[Table, Table | None]:
    """The (luma, chroma) tables of a .jpg; chroma is None where the file has one table.

    Raises:
        ValueError: not a JPEG that Pillow can open, or an entry outside 1..255.

    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (8, 8)).save(buffer, "jpeg", quality=75)
    >>> read_tables(buffer.getvalue())[0][0].tolist()
    [8, 6, 5, 8, 12, 20, 26, 31]
    """
    from PIL import Image

    name = "data" if isinstance(file, bytes) else os.fspath(file)
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            quantization: Mapping[int, Sequence[int]] = getattr(image, "quantization", {})
            kind = image.format
    except OSError as error:
        raise ValueError(f"{name} cannot be read as an image: {error}") from error
    if not quantization:
        raise ValueError(f"{name} is {kind}, not JPEG: it has no quantization tables")
    tables = [
        validate_table(f"{name}: table {key}", np.reshape(quantization[key], (8, 8)))
        for key in sorted(quantization)
    ]
    return tables[0], tables[1] if len(tables) > 1 else None


def _both(luma: Any, chroma: Any) -> list[tuple[str, Table]]:
    return [("luma", validate_table("luma", luma)), ("chroma", validate_table("chroma", chroma))]
