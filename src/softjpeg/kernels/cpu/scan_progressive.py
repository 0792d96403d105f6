"""Whether progressive scans are whole, in C."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softjpeg.kernels.cpu.scan_layout import Layout
from softjpeg.kernels.cpu.scan_stream import split_stream
from softjpeg.kernels.library import library


def is_whole(
    data: bytes,
    layout: Layout,
    tables: Sequence[bytes],
    band: tuple[int, int],
    refines: bool,
    known: npt.NDArray[np.uint64] | None = None,
) -> bool:
    """Whether a scan has all bits of its coefficients, only codes that are some, and none left.

    Args:
        data: the entropy-coded data, with its restart markers.
        layout: of the scan; one component with a block an MCU, where the band is one of AC.
        tables: per component the table of its DC or AC as a DHT segment holds them.
        band: first and last coefficient, zigzag; (0, 0) is DC.
        refines: whether earlier scans sent higher bits.
        known: (rows, columns), of AC: bit k where coefficient k is not zero so far; changed.

    Raises:
        ValueError: arguments that do not belong together.
    """
    first, last = band
    if not (isinstance(data, bytes) and 0 <= first <= last <= 63 and (first or not last)):
        raise ValueError(f"data and band must be a scan's, got {type(data).__name__}, {band}")
    if len(tables) != len(layout.shapes):
        raise ValueError(f"tables must be one for each component, got {len(tables)}")
    address = None
    if first:
        _check_known(known, layout)
        assert known is not None
        address = known.ctypes.data
    split = split_stream(data, layout)
    if split is None:
        return False
    stream, ends = split
    joined = b"".join(tables)
    failed = _scan_check()(
        layout.fields,
        stream.ctypes.data,
        ends.ctypes.data,
        joined,
        len(joined),
        (ctypes.c_int32 * 3)(first, last, refines),
        address,
    )
    return not failed


def _check_known(known: npt.NDArray[np.uint64] | None, layout: Layout) -> None:
    """Before its address is taken."""
    blocks = layout.shapes[0][0] * layout.shapes[0][1]
    if len(layout.shapes) != 1 or not layout.mcus == layout.blocks == blocks:
        raise ValueError(f"layout must be that of one component, got {layout.shapes}")
    plain = isinstance(known, np.ndarray) and known.flags.carray
    if not plain or known is None or known.dtype != np.uint64 or known.shape != layout.shapes[0]:
        raise ValueError(f"known must be contiguous uint64 {layout.shapes[0]}")


@functools.cache
def _scan_check() -> Any:
    function = library("_coder").scan_check
    at, size = ctypes.c_void_p, ctypes.c_int64
    function.restype, function.argtypes = ctypes.c_int, (at, at, at, at, size, at, at)
    return function
