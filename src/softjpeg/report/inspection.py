"""What is in a .jpg or a preset, for a terminal."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text

from softjpeg.jpeg.markers import Segment, bytes_by_marker, read_bytes, segments
from softjpeg.jpeg.subsampling import subsampling_name
from softjpeg.jpeg.tables import Table, from_zigzag, quality_tables, read_tables
from softjpeg.presets.preset import Preset

_PROCESSES = {0: "baseline", 1: "extended sequential", 2: "progressive", 3: "lossless"}
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


@dataclass(frozen=True, eq=False)
class JPEGInfo:
    """What a JPEG file's headers say; nothing is decoded, so any kind of JPEG will do.

    Attributes:
        length: bytes of the file.
        process: "baseline", "progressive", ...
        size: (height, width).
        components: their names, as ("Y", "Cb", "Cr").
        subsampling: "4:2:0", ...; "gray" for one component; each (H, V) when it has no short name.
        tables: by the names of the components that use it, each quantization table (8, 8), raster.
        quality: nearest libjpeg quality 1..100 to the tables.
        is_exact: the tables are that quality's.
        restart_interval: in MCUs; 0 = off.
        markers: bytes by kind of marker segment; they add up to `length`.
    """

    length: int
    process: str
    size: tuple[int, int]
    components: tuple[str, ...]
    subsampling: str
    tables: Mapping[str, Table]
    quality: int
    is_exact: bool
    restart_interval: int
    markers: Mapping[str, int]

    @property
    def scan_bytes(self) -> int:
        """Bytes of entropy-coded data."""
        return self.markers.get("scan", 0)


def read_info(data: bytes | str | os.PathLike[str]) -> JPEGInfo:
    """Read a JPEG file's headers.

    Raises:
        ValueError: not a JPEG file, or cut off, or without a frame.
        OSError: the path cannot be read.

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (40, 30)).save(file, "jpeg", quality=80, progressive=True)
    >>> info = read_info(file.getvalue())
    >>> info.process, info.size, info.subsampling, info.quality, info.is_exact
    ('progressive', (30, 40), '4:2:0', 80, True)
    """
    data = read_bytes(data)
    pieces = segments(data)
    frame = next((p for p in pieces if p.name.startswith("SOF") and len(p.payload) > 5), None)
    if frame is None:
        raise ValueError("data holds no JPEG frame (SOF segment)")
    height, width = (int.from_bytes(frame.payload[i : i + 2], "big") for i in (1, 3))
    rows = [tuple(frame.payload[i : i + 3]) for i in range(6, len(frame.payload) - 2, 3)]
    names = _component_names([row[0] for row in rows], pieces)
    found = _quantization_tables(pieces)
    tables = {
        " ".join(n for n, row in zip(names, rows, strict=True) if row[2] == key): table
        for key, table in found.items()
        if key in {row[2] for row in rows}
    }
    if not tables:
        raise ValueError("data holds no quantization table (DQT segment)")
    used = [found[row[2]] for row in rows if row[2] in found]
    quality, is_exact = nearest_quality(used[0], used[1] if len(used) > 1 else None)
    interval = next((p.payload for p in pieces if p.name == "DRI"), b"")
    kind = int(frame.name.removeprefix("SOF"))
    return JPEGInfo(
        length=len(data),
        process=("arithmetic " if kind > 8 else "") + _PROCESSES.get(kind % 4, ""),
        size=(height, width),
        components=names,
        subsampling=subsampling_name([(row[1] >> 4, row[1] & 15) for row in rows]),
        tables=tables,
        quality=quality,
        is_exact=is_exact,
        restart_interval=int.from_bytes(interval, "big"),
        markers=bytes_by_marker(data),
    )


def nearest_quality(luma: Table, chroma: Table | None = None) -> tuple[int, bool]:
    """The libjpeg quality 1..100 whose tables are nearest (in log steps), and whether they are it.

    >>> nearest_quality(*quality_tables(83))
    (83, True)
    >>> nearest_quality(np.full((8, 8), 16))
    (85, False)
    """
    given = np.stack([luma] if chroma is None else [luma, chroma])

    def distance(quality: int) -> float:
        tables = np.stack(quality_tables(quality)[: len(given)])
        return float(np.abs(np.log(np.maximum(given, 1) / tables)).sum())

    best = min(range(1, 101), key=distance)
    return best, distance(best) == 0


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
    pixels = max(height * width, 1)
    facts = {
        "size": f"{width} × {height} pixels",
        "process": info.process,
        "components": " ".join(info.components),
        "subsampling": info.subsampling,
        "quality": f"libjpeg {info.quality} ({near})",
        "restarts": f"every {info.restart_interval} MCUs" if info.restart_interval else "none",
        "file": f"{info.length:,} bytes, {8 * info.length / pixels:.3f} bpp",
        "scan": f"{info.scan_bytes:,} bytes, {8 * info.scan_bytes / pixels:.3f} bpp",
    }
    maps = _side_by_side({f"{names} table": table for names, table in info.tables.items()})
    return Group(_title(name), _facts(facts), "", maps, "", _bytes(info))


def _describe_preset(name: str, preset: Preset) -> RenderableType:
    quality, is_exact = nearest_quality(preset.luma, preset.chroma)
    near = "exactly" if is_exact else "nearest, not exact"
    facts = {"subsampling": preset.subsampling, "quality": f"libjpeg {quality} ({near})"}
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
        told = {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for key, value in sorted(preset.provenance.items())
        }
        parts += ["", _title("provenance"), _facts(told)]
    return Group(_title(name), _facts(facts), *parts)


def heat_map(title: str, table: npt.NDArray[Any]) -> Text:
    """An (8, 8) table of positive numbers as a title and eight colored lines.

    Steps share one color scale, 1 to 255; numbers of another range get a scale of their own.

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


def _component_names(identifiers: Sequence[int], pieces: Sequence[Segment]) -> tuple[str, ...]:
    if len(identifiers) == 1:
        return ("Y",)
    adobe = next((p.payload for p in pieces if p.name == "APP14"), b"")
    untransformed = len(adobe) > 11 and adobe[:5] == b"Adobe" and adobe[11] == 0
    if len(identifiers) == 3:
        is_rgb = untransformed or bytes(identifiers) == b"RGB"
        return ("R", "G", "B") if is_rgb else ("Y", "Cb", "Cr")
    if len(identifiers) == 4:
        return ("C", "M", "Y", "K") if untransformed or not adobe else ("Y", "Cb", "Cr", "K")
    return tuple(str(i) for i in identifiers)


def _quantization_tables(pieces: Sequence[Segment]) -> dict[int, Table]:
    tables: dict[int, Table] = {}
    for payload in (p.payload for p in pieces if p.name == "DQT"):
        at = 0
        while at < len(payload):
            wide, key = payload[at] >> 4, payload[at] & 15
            step = 2 if wide else 1
            values = payload[at + 1 : at + 1 + 64 * step]
            if len(values) < 64 * step:
                raise ValueError("data is corrupt: a quantization table is cut off")
            tables[key] = from_zigzag(np.frombuffer(values, ">u2" if wide else "u1").tolist())
            at += 1 + 64 * step
    return tables


def _is_jpeg(path: str | os.PathLike[str]) -> bool:
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"\xff\xd8":
        return True
    if start[:1] != b"{" and Path(path).suffix != ".json":
        raise ValueError(f"{path} is neither a JPEG file nor a preset")
    return False
