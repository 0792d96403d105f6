"""Many small images with their tables outside: T.81's abbreviated formats (B.4, B.5).

A stream of tables (SOI, DQT, DHT, EOI) is written once for a corpus, with one Huffman code made for
all of it; each image (SOI, SOF, SOS, scan, EOI) then needs 37 bytes besides its scan, 27 if gray.
`join` makes an ordinary file of the two for any decoder; libjpeg, and TIFF's JPEGTables tag, take
them apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from softjpeg.jpeg import markers
from softjpeg.jpeg.color_space import color_space
from softjpeg.jpeg.component_tables import distinct_tables
from softjpeg.jpeg.decoder import read_frame
from softjpeg.jpeg.definitions import defined_tables
from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, HuffmanTable, optimal_table
from softjpeg.jpeg.entropy.symbols import Ints
from softjpeg.jpeg.entropy.table_sharing import TableSharing
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.markers import Segment, segments
from softjpeg.jpeg.tables import Table
from softjpeg.jpeg.writer import frame_tokens, write_scan

_SOI, _EOI = bytes([0xFF, markers.SOI]), bytes([0xFF, markers.EOI])
_DESTINATIONS = 4


def shared_tables(files: Iterable[bytes]) -> bytes:
    """The tables for a corpus: its quantization tables and one optimal Huffman code.

    Every symbol that baseline JPEG allows has a code, so that images from outside the corpus can
    be written with it too.

    Args:
        files: ordinary baseline files, as `encode` writes them, all gray or all in colour.

    Returns:
        A stream of tables: SOI, DQT, DHT, EOI.

    Raises:
        ValueError: no files, one that cannot be read, or other quantization tables than in the
            first one; it names the file's place in `files`.

    >>> from softjpeg.jpeg.writer import write_coefficients
    >>> def image(dc):
    ...     plane = np.zeros((1, 1, 8, 8), dtype=int) + dc * np.eye(8, dtype=int)
    ...     return write_coefficients([plane], np.full((8, 8), 9), size=(8, 8))
    >>> tables = shared_tables(map(image, range(9)))
    >>> len(image(5)), len(abbreviate(image(5), tables))
    (166, 35)
    """
    counts: Ints | None = None
    for number, data in enumerate(files):
        try:
            frame = _read_plain_frame(data)
        except ValueError as error:
            raise ValueError(f"files[{number}]: {error}") from None
        if counts is None:
            quantization, destinations = distinct_tables(frame.tables, compact=True)
            counts = np.zeros((len(frame.planes), 2, 256), dtype=np.int64)
        elif len(frame.planes) != len(counts):
            raise ValueError(
                f"files[{number}] has {len(frame.planes)} component(s) and files[0] {len(counts)}"
            )
        for table, destination in zip(frame.tables, destinations, strict=True):
            if not np.array_equal(table, quantization[destination]):
                raise ValueError(
                    f"files[{number}] has other quantization tables than files[0]: "
                    "make one stream of tables for each preset"
                )
        counts += frame_tokens(frame)[0].counts
    if counts is None:
        raise ValueError("files must hold at least one JPEG file, got none")
    groups = [counts[0], counts[1:].sum(axis=0)][: len(counts)]
    return b"".join(
        [
            _SOI,
            markers.quantization_tables(enumerate(quantization)),
            markers.huffman_tables(
                (bool(is_ac), destination, optimal_table(np.maximum(group[is_ac], allowed)))
                for destination, group in enumerate(groups)
                for is_ac, allowed in enumerate(_allowed_symbols())
            ),
            _EOI,
        ]
    )


def abbreviate(data: bytes, tables: bytes) -> bytes:
    """An ordinary file as an abbreviated image, its scan coded with the stream's Huffman code.

    Args:
        data: a baseline file. Its metadata and restart markers are left out.
        tables: from `shared_tables`. Quantization tables that it lacks are put into the image.

    Raises:
        ValueError: one of them cannot be read, or they do not fit together.
    """
    frame = _read_plain_frame(data)
    quantization, huffman = defined_tables(_segments_of_tables(tables))
    added: dict[int, Table] = {}
    table_of = []
    for table in frame.tables:
        known = [d for d, other in (quantization | added).items() if np.array_equal(other, table)]
        if not known:
            # Not over one of the stream's, which are for the images to come.
            known = [d for d in range(_DESTINATIONS) if d not in quantization | added][:1]
            if not known:
                raise ValueError("data and tables together have more than 4 quantization tables")
            added[known[0]] = table
        table_of.append(known[0])
    tokens, layout = frame_tokens(frame)
    dc, ac = (_sharing(huffman, bool(is_ac), tokens.counts[:, is_ac]) for is_ac in range(2))
    return b"".join(
        [
            _SOI,
            markers.quantization_tables(added.items()) if added else b"",
            markers.frame_header(frame.size, frame.identifiers, layout.factors, table_of),
            write_scan(frame, tokens, dc, ac),
            _EOI,
        ]
    )


def join(tables: bytes, image: bytes) -> bytes:
    """The ordinary file that a stream of tables and an abbreviated image make.

    Raises:
        ValueError: `tables` is no stream of tables, or `image` is no JPEG image.
    """
    _segments_of_tables(tables)
    if not any(piece.name == "scan" for piece in segments(image)):
        raise ValueError("image holds no scan: is it the stream of tables?")
    return tables[: -len(_EOI)] + image[len(_SOI) :]


def _segments_of_tables(tables: bytes) -> list[Segment]:
    pieces = segments(tables)
    other = [piece.name for piece in pieces if piece.name not in ("SOI", "DQT", "DHT", "EOI")]
    if other:
        raise ValueError(f"tables must be a stream of tables alone, but has {other[0]}")
    if pieces[-1].name != "EOI":
        raise ValueError(f"tables must end with EOI, got {pieces[-1].name}")
    return pieces


def _sharing(
    huffman: dict[tuple[bool, int], HuffmanTable], is_ac: bool, counts: Ints
) -> TableSharing:
    """The stream's tables for an image's components, luma's and the others'."""
    table_of = (0, 1, 1)[: len(counts)]
    wanted = [(is_ac, destination) for destination in range(max(table_of) + 1)]
    if any(key not in huffman for key in wanted):
        raise ValueError("tables have Huffman codes for gray images alone, and data is in colour")
    sharing = TableSharing(tuple(huffman[key] for key in wanted), table_of)
    for component, table in zip(counts, sharing.of_components, strict=True):
        missing = set(np.flatnonzero(component).tolist()) - set(table.values)
        if missing:
            raise ValueError(f"tables have no Huffman code for the symbol {min(missing):02X}")
    return sharing


def _read_plain_frame(data: bytes) -> Frame:
    """A frame of gray or Y, Cb, Cr without restart markers."""
    pieces = segments(data)
    frame = read_frame(pieces)
    space = color_space(frame.identifiers, pieces)
    if space not in ("gray", "YCbCr"):
        raise ValueError(f"data must be gray or hold Y, Cb, Cr, got a JPEG of {space}")
    if max(int(table.max()) for table in frame.tables) > 255:
        raise ValueError("data must be baseline, but has quantization tables of 16 bits")
    if frame.identifiers not in ((1,), (1, 2, 3)):
        raise ValueError(
            f"component identifiers must be 1 or 1, 2, 3, got {frame.identifiers}: recode it first"
        )
    return dataclasses.replace(frame, restart_interval=0)


def _allowed_symbols() -> tuple[Ints, Ints]:
    """1 for every symbol that a baseline scan may hold, for DC and AC: those of Annex K."""
    allowed = np.zeros((2, 256), dtype=np.int64)
    for row, table in zip(allowed, STANDARD_TABLES[:2], strict=True):
        row[list(table.values)] = 1
    return allowed[0], allowed[1]
