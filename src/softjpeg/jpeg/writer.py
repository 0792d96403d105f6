"""Quantized coefficients to the bytes of a baseline JPEG file."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from softjpeg.jpeg import markers
from softjpeg.jpeg.component_tables import distinct_tables, tables_of_components
from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES
from softjpeg.jpeg.entropy.layout import ScanLayout, scan_layout
from softjpeg.jpeg.entropy.limits import check_coefficients
from softjpeg.jpeg.entropy.symbols import LUMA_CHROMA, Ints
from softjpeg.jpeg.entropy.table_sharing import TableSharing, optimal_sharings, smallest_sharing
from softjpeg.jpeg.entropy.tokens import Tokens, scan_tokens, write_tokens
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.kernels.library import is_available

Header = Literal["jfif", "compact"]
"""How a file's segments are laid out, see `write_coefficients`."""

HEADERS: tuple[Header, ...] = get_args(Header)
_JFIF_IDENTIFIERS = ((1,), (1, 2, 3))  # JFIF is for gray and Y, Cb, Cr alone.
_MAX_BLOCKS_PER_MCU = 10  # T.81 B.2.3


def write_coefficients(
    coefficients: Sequence[Any],
    tables: Any,
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    optimize: bool = True,
    restart_interval: int = 0,
    header: Header = "jfif",
) -> bytes:
    """Write quantized DCT coefficients, unchanged, as a baseline JPEG file.

    Args:
        coefficients: 1 (gray) or 3 (Y, Cb, Cr) integer arrays (rows, columns, 8, 8) of quantized
            indices in raster order: DC -1024..1023, AC -1023..1023. A component has
            ceil(ceil(height * V / Vmax) / 8) rows of blocks, columns likewise; one padded to whole
            MCUs is cropped to that.
        tables: quantization tables (8, 8) of integers 1..255: one for gray; (luma, chroma) or
            (luma, cb, cr) for colour. Up to 65535, where the file may be extended sequential
            (SOF1, which libjpeg reads too).
        size: (height, width) of the image in pixels, 1..65535.
        subsampling: "4:4:4", "4:2:2" (h2v1) or "4:2:0"; ignored for gray.
        optimize: compute optimal Huffman tables for this image, else use those of Annex K.
        restart_interval: put a restart marker every so many MCUs, 0..65535; 0 = none.
        header: "jfif", laid out as libjpeg does it, so that both write the same bytes; or
            "compact", which is smaller: no APP0, equal tables once, one DQT and one DHT segment,
            and components share Huffman tables wherever that saves bytes.

    Returns:
        The file: SOI, APP0, DQT, SOF0, DHT, DRI if any, SOS, scan, EOI.

    Raises:
        ValueError: an argument out of its range or a shape that does not fit `size`; one sentence
            that names the argument and the value.

    >>> luma = np.zeros((1, 2, 8, 8), dtype=np.int16)
    >>> luma[0, 0, 0, 1] = 3
    >>> data = write_coefficients([luma], np.full((8, 8), 16), size=(8, 16))
    >>> data[:4].hex(" "), len(data)
    ('ff d8 ff e0', 160)
    >>> len(write_coefficients([luma], np.full((8, 8), 16), size=(8, 16), header="compact"))
    138
    """
    check = functools.partial(
        check_coefficients,
        coefficients,
        size=size,
        subsampling=subsampling,
        restart_interval=restart_interval,
    )
    # The kernel finds a value out of its range on its way, but not which one.
    planes, layout = check(ranges=not is_available("_coder"))
    frame = Frame(
        size=size,
        identifiers=(1, 2, 3)[: len(planes)],
        factors=layout.factors,
        planes=tuple(plane[0] for plane in planes),
        tables=tables_of_components(tables, len(planes)),
        restart_interval=restart_interval,
    )
    _check_header(header)
    try:
        tokens, _ = frame_tokens(frame, count=optimize, dc_range=True)
    except ValueError:
        check()
        raise
    return _assemble(frame, tokens, layout, optimize, header == "compact")


def write_frame(frame: Frame, *, optimize: bool = True, header: Header = "jfif") -> bytes:
    """Write a frame of 1 to 4 components of any sampling as a baseline file.

    Args:
        frame: its coefficients DC -1024..1023, AC -1023..1023, and tables 1..65535; above 255
            the file is extended sequential.
        optimize: compute optimal Huffman tables for this image, else use those of Annex K.
        header: "jfif" as libjpeg lays it out, or "compact", which is smaller.

    Raises:
        ValueError: unknown `header`, components too finely sampled for one interleaved scan, or
            coefficients beyond baseline.
    """
    _check_header(header)
    tokens, layout = frame_tokens(frame, count=optimize)
    return _assemble(frame, tokens, layout, optimize, header == "compact")


def _check_header(header: Header) -> None:
    if header not in HEADERS:
        raise ValueError(f"header must be one of {', '.join(HEADERS)}, got {header!r}")


def _assemble(
    frame: Frame, tokens: Tokens, layout: ScanLayout, optimize: bool, compact: bool
) -> bytes:
    if optimize:
        dc, ac = _huffman_tables(tokens.counts, compact)
        tables = _huffman_segments(dc, ac, compact)
    else:
        dc, ac, tables = _standard_tables(len(frame.planes), compact)
    steps = tuple(np.asarray(table, dtype=np.int64).tobytes() for table in frame.tables)
    interval = frame.restart_interval
    return b"".join(
        [
            _first_segments(*frame.size, frame.identifiers, layout.factors, steps, compact),
            tables,
            markers.restart_interval_definition(interval) if interval else b"",
            write_scan(frame, tokens, dc, ac),
            bytes([0xFF, markers.EOI]),
        ]
    )


@functools.lru_cache(maxsize=64)
def _first_segments(
    height: int,
    width: int,
    identifiers: tuple[int, ...],
    factors: tuple[tuple[int, int], ...],
    steps: tuple[bytes, ...],
    compact: bool,
) -> bytes:
    """From SOI to SOF0; `steps`: per component its quantization table's int64."""
    tables = [np.frombuffer(table, dtype=np.int64).reshape(8, 8) for table in steps]
    dqt, table_of = distinct_tables(tables, compact)
    dqt_segments = [list(enumerate(dqt))] if compact else [[entry] for entry in enumerate(dqt)]
    return b"".join(
        [
            bytes([0xFF, markers.SOI]),
            markers.jfif() if not compact and identifiers in _JFIF_IDENTIFIERS else b"",
            *map(markers.quantization_tables, dqt_segments),
            markers.frame_header(
                (height, width),
                identifiers,
                factors,
                table_of,
                extended=max(int(table.max()) for table in tables) > 255,
            ),
        ]
    )


def _huffman_segments(dc: TableSharing, ac: TableSharing, compact: bool) -> bytes:
    dht = [
        (is_ac, number, table)
        for number in range(2)
        for is_ac, sharing in ((False, dc), (True, ac))
        for table in sharing.tables[number : number + 1]
    ]
    dht_segments = [dht] if compact else [[entry] for entry in dht]
    return b"".join(map(markers.huffman_tables, dht_segments))


@functools.lru_cache(maxsize=8)
def _standard_tables(components: int, compact: bool) -> tuple[TableSharing, TableSharing, bytes]:
    """Annex K's tables for DC and those for AC, and their segments."""
    way = LUMA_CHROMA[:components]
    dc, ac = (
        TableSharing(STANDARD_TABLES[is_ac::2][: max(way) + 1], tuple(way)) for is_ac in range(2)
    )
    return dc, ac, _huffman_segments(dc, ac, compact)


def frame_tokens(
    frame: Frame, *, count: bool = True, dc_range: bool = False
) -> tuple[Tokens, ScanLayout]:
    """The symbols of a frame in one scan, each component with tables of its own; their layout.

    Args:
        frame: of 1 to 4 components.
        count: how often each symbol occurs, too.
        dc_range: refuse DC coefficients beyond -1024..1023, not their differences alone.

    Raises:
        ValueError: components too finely sampled for one scan, or values beyond baseline.
    """
    layout = scan_layout(frame.size, frame.factors)
    if layout.blocks_per_mcu > _MAX_BLOCKS_PER_MCU:
        raise ValueError(
            f"sampling factors {frame.factors} make {layout.blocks_per_mcu} blocks per MCU, and a "
            f"scan of several components has at most {_MAX_BLOCKS_PER_MCU}"
        )
    planes = [plane.reshape(*plane.shape[:2], 64) for plane in frame.planes]
    interval = frame.restart_interval
    return scan_tokens(planes, layout, interval, count=count, dc_range=dc_range), layout


def write_scan(frame: Frame, tokens: Tokens, dc: TableSharing, ac: TableSharing) -> bytes:
    """SOS and the entropy-coded data.

    Args:
        frame: whose symbols these are.
        tokens: of `frame_tokens`.
        dc, ac: the Huffman tables, and which of them each component uses.
    """
    return markers.scan_header(
        frame.identifiers, zip(dc.table_of, ac.table_of, strict=True)
    ) + write_tokens(tokens, list(zip(dc.of_components, ac.of_components, strict=True)))


def _huffman_tables(counts: Ints, compact: bool) -> tuple[TableSharing, TableSharing]:
    """The optimal tables for DC and those for AC."""
    way = LUMA_CHROMA[: len(counts)]
    if compact:
        return smallest_sharing(counts[:, 0]), smallest_sharing(counts[:, 1])
    dc, ac = optimal_sharings(counts, way)
    return dc, ac
