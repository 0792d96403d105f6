"""Chroma of half as many rows or columns, from DCT coefficients alone.

The mean of every two pixels is linear, and so is the DCT: a block of the result is a fixed matrix
times the coefficients of the two blocks that it comes from.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from softjpeg.jpeg.subsampling import Subsampling, luma_factors

Planes = tuple[npt.NDArray[np.float32], ...]


def coarser(one: Subsampling, other: Subsampling) -> Subsampling:
    """The subsampling of whichever keeps less chroma.

    >>> coarser("4:2:2", "4:2:0"), coarser("4:2:2", "4:4:4")
    ('4:2:0', '4:2:2')
    """
    return max(one, other, key=luma_factors)


def subsampled(components: Planes, has: Subsampling, wanted: Subsampling) -> Planes:
    """The coefficients of Y, Cb and Cr at a subsampling no finer than theirs.

    Args:
        components: (rows, columns, 8, 8) each, dequantized, raster order.
        has: their subsampling.
        wanted: `coarser` than it, or the same.

    >>> planes = (np.ones((4, 4, 8, 8), np.float32),) * 3
    >>> [plane.shape[:2] for plane in subsampled(planes, "4:4:4", "4:2:2")]
    [(4, 4), (4, 2), (4, 2)]
    """
    (h, v), (more_h, more_v) = luma_factors(has), luma_factors(wanted)
    luma, *chroma = components
    if more_h > h:
        chroma = [_halved(plane) for plane in chroma]
    if more_v > v:
        # Rows as columns, in the picture and in each block.
        chroma = [_halved(plane.transpose(1, 0, 3, 2)).transpose(1, 0, 3, 2) for plane in chroma]
    return luma, *chroma


def _halved(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Of half as many columns: the mean of every two pixels of a row."""
    rows, columns = plane.shape[:2]
    if columns % 2:
        # Nobody sees what is beside the last block; in a mirror it goes on without an edge.
        mirrored = plane[:, -1:] * (-1.0) ** np.arange(8, dtype=np.float32)
        plane = np.concatenate([plane, mirrored], axis=1)
    pairs = plane.reshape(rows, -1, 2, 8, 8).swapaxes(2, 3).reshape(-1, 16)
    return (pairs @ _means_of_pairs()).reshape(rows, -1, 8, 8)


@functools.cache
def _means_of_pairs() -> npt.NDArray[np.float32]:
    """(16, 8): coefficients of two blocks side by side to those of their means."""
    frequency, at = np.ogrid[:8, :8]
    dct = np.cos((2 * at + 1) * frequency * np.pi / 16) / 2
    dct[0] /= np.sqrt(2)
    means = np.repeat(np.eye(8), 2, axis=0) / 2
    matrix = np.kron(np.eye(2), dct) @ means @ dct.T
    # Zeros must be zeros: whether a half is rounded up does not depend on the order of a sum.
    found: npt.NDArray[np.float32] = matrix.round(12).astype(np.float32)
    return found
