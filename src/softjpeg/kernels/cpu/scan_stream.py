"""A scan's bytes without stuffing and restart markers, in C."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.cpu.scan_layout import Layout
from softjpeg.kernels.library import library

_MAX_BLOCK_BYTES = 256


def split_stream(
    data: bytes, layout: Layout
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]] | None:
    """A scan without stuffing and markers, padded, and where its restart intervals end.

    Args:
        data: the entropy-coded data, with its restart markers.
        layout: of the scan.

    Returns:
        None where the markers are not those of as many intervals.

    Raises:
        ValueError: data that are no bytes.
    """
    if not isinstance(data, bytes):
        raise ValueError(f"data must be bytes, got {type(data).__name__}")
    padding = _MAX_BLOCK_BYTES * (layout.blocks // layout.mcus + 1)
    stream = np.empty(len(data) + padding, dtype=np.uint8)
    ends = np.empty(layout.intervals, dtype=np.int64)
    size = _scan_split()(data, len(data), stream.ctypes.data, ends.ctypes.data, layout.intervals)
    stream[max(size, 0) : size + padding] = 0
    return None if size < 0 else (stream, ends)


@functools.cache
def _scan_split() -> Any:
    function = library("_coder").scan_split
    at, size = ctypes.c_void_p, ctypes.c_int64
    function.restype, function.argtypes = size, (at, size, at, at, size)
    return function
