"""What a JPEG file's headers say, and the libjpeg quality that its tables are nearest to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from softjpeg.jpeg.color_space import COMPONENT_NAMES, color_space
from softjpeg.jpeg.definitions import defined_tables
from softjpeg.jpeg.markers import bytes_by_marker, read_bytes, segments
from softjpeg.jpeg.subsampling import subsampling_name
from softjpeg.jpeg.tables import Table, quality_tables

_PROCESSES = {0: "baseline", 1: "extended sequential", 2: "progressive", 3: "lossless"}


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

    @property
    def bpp(self) -> float:
        """Bits per pixel of the file."""
        return self._bits_per_pixel(self.length)

    @property
    def scan_bpp(self) -> float:
        """Bits per pixel of the entropy-coded data."""
        return self._bits_per_pixel(self.scan_bytes)

    def _bits_per_pixel(self, size: int) -> float:
        # A height of 0 is one that a later segment says.
        return 8 * size / max(1, self.size[0] * self.size[1])


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
    identifiers = [row[0] for row in rows]
    names = COMPONENT_NAMES.get(color_space(identifiers, pieces), tuple(map(str, identifiers)))
    # Alone: a damaged Huffman table does not keep anyone from reading headers.
    defined, _ = defined_tables([piece for piece in pieces if piece.name == "DQT"])
    tables = {
        " ".join(n for n, row in zip(names, rows, strict=True) if row[2] == key): table
        for key, table in defined.items()
        if key in {row[2] for row in rows}
    }
    if not tables:
        raise ValueError("data holds no quantization table (DQT segment)")
    used = [defined[row[2]] for row in rows if row[2] in defined]
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
    wanted = np.stack([luma] if chroma is None else [luma, chroma])
    steps = _logarithms()[:, : len(wanted)] - np.log(np.maximum(wanted, 1))
    distances = np.abs(steps).sum((1, 2, 3))
    best = int(distances.argmin())
    return best + 1, bool(distances[best] == 0)


@cache
def _logarithms() -> NDArray[np.float64]:
    """Of both tables of each quality 1..100, (100, 2, 8, 8)."""
    tables = np.array([quality_tables(quality) for quality in range(1, 101)], dtype=np.float64)
    found: NDArray[np.float64] = np.log(tables)
    return found
