"""`softjpeg.jpeg.entropy` in C, on arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.cpu.scan_layout import Layout
from softjpeg.kernels.cpu.scan_layout import layout_of as layout_of
from softjpeg.kernels.cpu.scan_stream import split_stream
from softjpeg.kernels.library import library

_BLOCK = 64
_MAX_COMPONENTS = 4
_MAX_TABLE = 16 + 256
_TOKEN_BYTES = 4  # Of a scan, before stuffing: a code of 16 bits and a value of 11.
_SLACK = 16  # Words of 8 bytes are written at a time.

Planes = Sequence[npt.NDArray[np.int16]]
Counts = npt.NDArray[np.int64]


def extremes(blocks: npt.NDArray[np.int16]) -> tuple[int, int, int, int]:
    """The least and the greatest DC, then AC, of contiguous blocks (..., 64), one at least.

    >>> extremes(np.arange(128, dtype=np.int16))
    (0, 64, 1, 127)
    """
    _check_array("blocks", blocks, np.int16)
    if not blocks.size or blocks.size % _BLOCK:
        raise ValueError(f"blocks must be one or more of {_BLOCK} each, got {blocks.shape}")
    result = (ctypes.c_int16 * 4)()
    _coder().scan_extremes(blocks.ctypes.data, blocks.size // _BLOCK, result)
    return tuple(result)


def count_symbols(planes: Planes, layout: Layout) -> Counts | None:
    """How often each symbol occurs: shape (batch, components, 2: DC and AC, 256).

    Args:
        planes: per component (batch, rows, columns, 64), contiguous, raster order.
        layout: of each image's scan.

    Returns:
        None where a value is beyond baseline.
    """
    batch = len(planes[0]) if len(planes) and planes[0].ndim else 0
    counts = np.zeros((batch, len(planes), 2, 256), dtype=np.int64)
    addresses = _addresses(planes, layout, batch)
    failed = _coder().scan_counts(layout.fields, addresses, batch, counts.ctypes.data) < 0
    return None if failed else counts


def make_tokens(
    planes: Planes, layout: Layout, count: bool = True, dc_range: bool = False
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], Counts] | None:
    """The symbols of one scan.

    Args:
        planes: per component (rows, columns, 64), contiguous, raster order.
        layout: of the scan.
        count: the symbols too.
        dc_range: refuse a DC outside -1024..1023 too, whatever it differs by.

    Returns:
        The fields of `softjpeg.jpeg.entropy.tokens.Tokens`; None where a value is beyond baseline.
    """
    tokens = np.empty(layout.blocks * _BLOCK, dtype=np.uint32)
    starts = np.empty(layout.intervals + 1, dtype=np.int64)
    counts = np.zeros((len(planes), 2, 256), dtype=np.int64)
    total = _coder().scan_tokens(
        layout.fields,
        _addresses(planes, layout),
        tokens.ctypes.data,
        starts.ctypes.data,
        counts.ctypes.data if count else None,
        dc_range,
    )
    return None if total < 0 else (tokens[:total], starts, counts)


def pack_tokens(
    tokens: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64], tables: Sequence[bytes]
) -> bytes:
    """The entropy-coded data of a scan.

    Args:
        tokens, starts: of `make_tokens`.
        tables: per component its DC and then its AC table as a DHT segment holds them.
    """
    _check_array("tokens", tokens, np.uint32, 1)
    _check_array("starts", starts, np.int64, 1)
    if (
        not (len(starts) > 1 and starts[0] == 0 and starts[-1] <= len(tokens))
        or (np.diff(starts) < 0).any()
    ):
        raise ValueError(f"starts must rise from 0 to {len(tokens)} tokens, got {starts}")
    if len(tables) % 2 or not 2 <= len(tables) <= 2 * _MAX_COMPONENTS:
        raise ValueError(f"tables must be a DC and an AC table a component, got {len(tables)}")
    intervals = len(starts) - 1
    joined = b"".join(tables)
    packed = np.empty(len(tokens) * _TOKEN_BYTES + intervals * _SLACK, dtype=np.uint8)
    ends = np.empty(intervals, dtype=np.int64)
    size = _coder().scan_pack(
        tokens.ctypes.data,
        starts.ctypes.data,
        intervals,
        joined,
        len(joined),
        len(tables) // 2,
        packed.ctypes.data,
        ends.ctypes.data,
    )
    if size < 0:
        raise ValueError(f"tables must be Huffman tables, got {joined.hex(' ')}")
    scan = np.empty(size, dtype=np.uint8)
    _coder().scan_stuff(packed.ctypes.data, ends.ctypes.data, intervals, scan.ctypes.data)
    return scan.tobytes()


def read_scan(
    data: bytes, layout: Layout, tables: Sequence[bytes]
) -> tuple[npt.NDArray[np.int16], ...] | None:
    """Per component (rows, columns, 64), raster order; None where anything is wrong.

    Args:
        data: the entropy-coded data, with its restart markers.
        layout: of the scan.
        tables: per component its DC and then its AC table as a DHT segment holds them.
    """
    # Before a header is trusted with memory.
    if _too_short(data, layout):
        return None
    planes = tuple(np.empty((*shape, _BLOCK), dtype=np.int16) for shape in layout.shapes)
    return planes if _scan_read(data, layout, tables, _addresses(planes, layout)) else None


def is_whole(data: bytes, layout: Layout, tables: Sequence[bytes]) -> bool:
    """Whether `read_scan` reads it: the same, in a third of the time.

    Args:
        data: the entropy-coded data, with its restart markers.
        layout: of the scan.
        tables: per component its DC and then its AC table as a DHT segment holds them.
    """
    return not _too_short(data, layout) and _scan_read(data, layout, tables, None)


def _too_short(data: bytes, layout: Layout) -> bool:
    if not isinstance(data, bytes):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    # A block takes two bits at least.
    return layout.blocks > len(data) * 4


def _scan_read(data: bytes, layout: Layout, tables: Sequence[bytes], addresses: Any) -> bool:
    """Whether nothing is wrong; fills the planes, where there are any."""
    split = split_stream(data, layout)
    if split is None:
        return False
    stream, ends = split
    joined = b"".join(tables)
    failed = _coder().scan_read(
        layout.fields, stream.ctypes.data, ends.ctypes.data, joined, len(joined), addresses
    )
    return not failed


def optimal_tables(counts: Counts) -> list[tuple[bytes, int]] | None:
    """The optimal Huffman table of each row of 256 counts, and the bits that all its codes take.

    Returns:
        The tables as a DHT segment holds them; None where counts are negative or above 2^45.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != 256 or counts.dtype.kind not in "iu":
        shape = f"{counts.dtype} of shape {counts.shape}"
        raise ValueError(f"counts must be integers of shape (n, 256), got {shape}")
    counts = np.require(counts, np.int64, ["C", "A"])
    rows = len(counts)
    tables = ctypes.create_string_buffer(rows * _MAX_TABLE)
    sizes, bits = (ctypes.c_int32 * rows)(), (ctypes.c_int64 * rows)()
    if _coder().huffman_optimal(counts.ctypes.data, rows, tables, sizes, bits) < 0:
        return None
    raw, starts = tables.raw, range(0, rows * _MAX_TABLE, _MAX_TABLE)
    return [
        (raw[at : at + size], length) for at, size, length in zip(starts, sizes, bits, strict=True)
    ]


@functools.cache
def _coder() -> ctypes.CDLL:
    coder = library("_coder")
    at, size = ctypes.c_void_p, ctypes.c_int64
    for name, returned, taken in (
        ("scan_extremes", None, (at, size, at)),
        ("scan_counts", size, (at, at, size, at)),
        ("scan_tokens", size, (at, at, at, at, at, ctypes.c_int)),
        ("scan_pack", size, (at, at, size, at, size, ctypes.c_int32, at, at)),
        ("scan_stuff", None, (at, at, size, at)),
        ("scan_read", ctypes.c_int, (at, at, at, at, size, at)),
        ("huffman_optimal", ctypes.c_int, (at, size, at, at, at)),
    ):
        function = getattr(coder, name)
        function.restype, function.argtypes = returned, taken
    return coder


def _check_array(name: str, array: Any, dtype: Any, axes: int | None = None) -> None:
    """Before its address is taken: its numbers lie one after the other, and are of that type."""
    is_array = isinstance(array, np.ndarray)
    if not is_array or array.dtype != dtype or not _is_plain(array):
        kind = array.dtype if is_array else type(array).__name__
        raise ValueError(f"{name} must be contiguous {np.dtype(dtype)}, got {kind}")
    if axes is not None and array.ndim != axes:
        raise ValueError(f"{name} must have {axes} axes, got shape {array.shape}")


def _is_plain(array: npt.NDArray[Any]) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


def _addresses(planes: Planes, layout: Layout, *batch: int) -> Any:
    if len(planes) != len(layout.shapes):
        raise ValueError(f"planes must be of {len(layout.shapes)} components, got {len(planes)}")
    for plane, shape in zip(planes, layout.shapes, strict=True):
        wanted = (*batch, *shape, _BLOCK)
        if plane.shape != wanted or plane.dtype != np.int16 or not _is_plain(plane):
            dtype_and_shape = f"{plane.dtype} {plane.shape}"
            raise ValueError(f"planes must be contiguous int16 {wanted}, got {dtype_and_shape}")
    return (ctypes.c_void_p * len(planes))(*[plane.ctypes.data for plane in planes])
