"""What is in a .jpg or a preset, for a terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from rich.color import Color
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text

from softjpeg.jpeg.info import JPEGInfo, nearest_quality, read_info
from softjpeg.jpeg.table_formats import read_tables
from softjpeg.presets.preset import Preset

_CONTENTS = {
    "APP0": "JFIF",
    "APP1": "Exif, XMP",
    "APP2": "color profile",
    "APP13": "Photoshop",
    "APP14": "Adobe",
    "COM": "comment",
    "DHT": "Huffman tables",
    "DQT": "quantization tables",
    "DRI": "restart interval",
    "EOI": "end",
    "SOI": "start",
    "SOS": "scan headers",
    "scan": "entropy-coded data",
    "trailer": "data after the end",
}
# From blue over green to yellow, evenly rising in lightness.
_SCALE = ((59, 40, 110), (52, 94, 141), (32, 144, 140), (94, 201, 97), (253, 231, 37))


def export_tables(path: str | os.PathLike[str], form: str) -> str:
    """The tables of a .jpg or a preset as text for another encoder: "cjpeg", "imagemagick", "c".

    Raises:
        ValueError: neither a JPEG nor a preset, or an unknown form.
    """
    if not _is_jpeg(path):
        return Preset.load(path).export(form)
    luma, chroma = read_tables(path)
    return Preset(luma, luma if chroma is None else chroma).export(form)


def describe(path: str | os.PathLike[str]) -> RenderableType:
    """What is in a .jpg or a preset, for ``rich.console.Console.print``.

    Raises:
        ValueError: neither a JPEG nor a preset, or a damaged one.
        OSError: the file cannot be read.
    """
    if not _is_jpeg(path):
        return _describe_preset(Path(path).name, Preset.load(path))
    try:
        return _describe_jpeg(Path(path).name, read_info(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _describe_jpeg(name: str, info: JPEGInfo) -> RenderableType:
    height, width = info.size
    near = "exactly" if info.is_exact else "nearest, not exact"
    facts = {
        "size": f"{width} × {height} pixels",
        "process": info.process,
        "components": " ".join(info.components),
        "subsampling": info.subsampling,
        "quality": f"libjpeg {info.quality} ({near})",
        "restarts": f"every {info.restart_interval} MCUs" if info.restart_interval else "none",
        "file": f"{info.length:,} bytes, {info.bpp:.3f} bpp",
        "scan": f"{info.scan_bytes:,} bytes, {info.scan_bpp:.3f} bpp",
    }
    maps = _side_by_side({f"{names} table": table for names, table in info.tables.items()})
    return Group(_title(name), _facts(facts), "", maps, "", _bytes(info))


def stored_facts(preset: Preset) -> dict[str, str]:
    """What of an image a preset stores, where that is not all, in words.

    >>> stored_facts(Preset.from_quality(50))
    {}
    """
    facts = {}
    if preset.short_side is not None:
        facts["stored at"] = f"a shorter side of {preset.short_side} pixels at most"
    if preset.center is not None:
        facts["stored whole"] = (
            f"the middle {preset.center:g} of the shorter side; else means alone"
        )
    return facts


def _describe_preset(name: str, preset: Preset) -> RenderableType:
    quality, is_exact = nearest_quality(preset.luma, preset.chroma)
    near = "exactly" if is_exact else "nearest, not exact"
    facts = {"subsampling": preset.subsampling, "quality": f"libjpeg {quality} ({near})"}
    facts |= stored_facts(preset)
    parts: list[RenderableType] = [
        "",
        _side_by_side({"luma table": preset.luma, "chroma table": preset.chroma}),
    ]
    if (preset.hardness == preset.hardness.flat[0]).all():
        facts["hardness"] = f"{preset.hardness.flat[0]:g}"
    else:
        luma, chroma = preset.hardness
        parts += ["", _side_by_side({"luma hardness": luma, "chroma hardness": chroma})]
    if preset.provenance:
        lines = {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in sorted(preset.provenance.items())
        }
        parts += ["", _title("provenance"), _facts(lines)]
    return Group(_title(name), _facts(facts), *parts)


def heat_map(title: str, table: npt.NDArray[Any]) -> Text:
    """An (8, 8) table of positive numbers as a title and eight colored lines.

    Steps share one color scale, 1 to 255; numbers of another range get a scale of their own.

    >>> from softjpeg.jpeg.tables import quality_tables
    >>> print(heat_map("luma", quality_tables(75)[0]).plain.splitlines()[1])
       8   6   5   8  12  20  26  31
    """
    is_steps = table.dtype.kind in "iu"
    low, high = (1.0, 255.0) if is_steps else (float(table.min()), float(table.max()))
    words = [[f"{value}" if is_steps else f"{value:.3g}" for value in row] for row in table]
    width = max(3, *(len(word) for row in words for word in row)) + 1
    text = Text(title.ljust(8 * width), style="bold", no_wrap=True)
    for numbers, row in zip(table.tolist(), words, strict=True):
        text.append("\n")
        for number, word in zip(numbers, row, strict=True):
            text.append(word.rjust(width), style=_shade(number, low, high))
    return text


def _side_by_side(tables: Mapping[str, npt.NDArray[Any]]) -> Columns:
    return Columns([heat_map(title, table) for title, table in tables.items()], padding=(0, 3))


def _shade(value: float, low: float, high: float) -> Style:
    share = math.log(max(value, low) / low) / math.log(high / low) if high > low else 0.0
    at = min(share, 1.0) * (len(_SCALE) - 1)
    i = min(int(at), len(_SCALE) - 2)
    red, green, blue = (
        round(a + (at - i) * (b - a)) for a, b in zip(_SCALE[i], _SCALE[i + 1], strict=True)
    )
    ink = "black" if at > 2 else "white"
    return Style(color=Color.parse(ink), bgcolor=Color.from_rgb(red, green, blue), bold=False)


def _bytes(info: JPEGInfo) -> Grid:
    grid = Grid(
        "marker", "bytes", "share", "content", box=None, header_style="bold", pad_edge=False
    )
    for column in grid.columns[1:3]:
        column.justify = "right"
    for name, count in sorted(info.markers.items(), key=lambda item: -item[1]):
        content = _CONTENTS.get(name, "frame header" if name.startswith("SOF") else "")
        grid.add_row(name, f"{count:,}", f"{count / info.length:.1%}", content)
    grid.add_row("total", f"{info.length:,}", f"{1:.1%}", "", style="bold")
    return grid


def _title(words: str) -> Text:
    return Text(words, style="bold underline")


def _facts(facts: Mapping[str, str]) -> Grid:
    grid = Grid(box=None, show_header=False, pad_edge=False)
    for name, value in facts.items():
        grid.add_row(Text(name, style="dim"), Text(value))
    return grid


def _is_jpeg(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"\xff\xd8":
        return True
    if start[:1] != b"{" and Path(path).suffix != ".json":
        raise ValueError(f"{path} is neither a JPEG file nor a preset")
    return False
