"""Bits to bytes: packing, 1-padding, byte stuffing and restart markers (T.81 F.1.2.3, B.1.1.5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.entropy.symbols import Ints

RST0 = 0xD0


def pack_scan(bits: Ints, lengths: Ints, starts: Ints) -> bytes:
    """Concatenate bit strings into the bytes of a scan.

    Args:
        bits: shape (n,): the bit strings, right-aligned.
        lengths: shape (n,): how many bits each has, 0..32.
        starts: index of the first bit string of each restart interval; starts[0] = 0.

    Returns:
        The entropy-coded segments with restart markers between them.

    >>> pack_scan(np.array([5, 1]), np.array([3, 2]), np.array([0, 1])).hex(" ")
    'bf ff d0 7f'
    """
    ends = np.append(0, np.cumsum(lengths))
    bounds = ends[np.append(starts, len(lengths))]
    interval_bits = np.diff(bounds)
    interval_bytes = (interval_bits + 7) // 8
    byte_ends = np.cumsum(interval_bytes)
    byte_starts = byte_ends - interval_bytes

    shifts = byte_starts * 8 - bounds[:-1]
    offsets = ends[:-1] + np.repeat(shifts, np.diff(np.append(starts, len(lengths))))
    padding = interval_bytes * 8 - interval_bits
    packed = _pack(
        np.concatenate([bits, (1 << padding) - 1]),
        np.concatenate([lengths, padding]),
        np.concatenate([offsets, byte_ends * 8 - padding]),
        int(byte_ends[-1]),
    )
    stuffed = np.flatnonzero(packed == 0xFF) + 1
    markers = RST0 + np.arange(len(starts) - 1) % 8
    pairs = np.stack([np.full_like(markers, 0xFF), markers], axis=1).reshape(-1)
    places = np.concatenate([stuffed, np.repeat(byte_ends[:-1], 2)])
    # np.insert keeps this order where a stuffed byte and a marker share a place.
    inserted = np.concatenate([np.zeros_like(stuffed), pairs])
    return np.insert(packed, places, inserted).tobytes()


def _pack(bits: Ints, lengths: Ints, offsets: Ints, size: int) -> npt.NDArray[np.uint8]:
    """Place bit strings that do not overlap at bit offsets of a buffer of `size` bytes."""
    words = offsets >> 5
    aligned = bits.astype(np.uint64) << (64 - lengths - (offsets & 31)).astype(np.uint64)
    count = size // 4 + 2
    # Disjoint bits add up without carries, and sums below 2^32 are exact in float64.
    high, low = aligned >> np.uint64(32), aligned & np.uint64(0xFFFFFFFF)
    total = np.bincount(words, high.astype(np.float64), count)
    total += np.bincount(words + 1, low.astype(np.float64), count)
    return total.astype(">u4").view(np.uint8)[:size]
