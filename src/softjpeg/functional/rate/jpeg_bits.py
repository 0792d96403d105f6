"""Rate as JPEG really codes it: a differentiable estimate of the bits of a baseline file.

The symbols that an image is expected to send (`expected_symbols`) get Huffman codes that are
optimal for them. Code lengths are held constant in the gradient: they minimize the bits, so that a
small change of them changes nothing (the envelope theorem).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softjpeg.functional.arguments import check_floats
from softjpeg.functional.rate.expected_symbols import ExpectedSymbols, expected_symbols
from softjpeg.jpeg.entropy.huffman import MAX_CODE_LENGTH, HuffmanTable, code_lengths
from softjpeg.jpeg.entropy.symbols import LUMA_CHROMA
from softjpeg.jpeg.entropy.table_sharing import optimal_sharing, smallest_sharing
from softjpeg.jpeg.markers import bytes_by_marker
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.writer import HEADERS, Header, write_coefficients

STUFFING = 0.003
"""Bytes stuffed per byte of a scan, measured on photos at qualities 5 to 95."""
_PADDING_BITS = 3.5  # To the next whole byte, on average.
_SEGMENT_BYTES = 4  # A marker and its length.
_TABLE_BYTES = 1 + MAX_CODE_LENGTH  # Of a Huffman table before its symbols.


class JpegBits(NamedTuple):
    """Bits of B files; every field has shape (B,)."""

    scan: Tensor
    """Entropy-coded bits, before stuffing and padding."""
    header: Tensor
    """All other bits: markers, quantization tables, Huffman tables."""

    @property
    def file(self) -> Tensor:
        """Bits of the file, with byte stuffing and padding at their average."""
        return self.header + (self.scan + _PADDING_BITS) * (1 + STUFFING)


def jpeg_bits(
    coefficients: Sequence[Tensor],
    tables: Sequence[Tensor],
    alphas: Sequence[Tensor],
    *,
    size: tuple[int, int],
    subsampling: Subsampling = "4:4:4",
    header: Header = "jfif",
    shift: float | None = None,
) -> JpegBits:
    """Expected bits of every image's file: indices drawn from P(i|z), optimized Huffman codes.

    As hardness grows, `scan` becomes `softjpeg.jpeg.entropy.scan_bits` of the rounded indices.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), each (B, rows, columns, 8, 8), float, pixel scale.
        tables: per component (8, 8) steps > 0.
        alphas: per component (8, 8) sharpness α = hardness / q².
        size: (height, width) of the images.
        subsampling: "4:4:4", "4:2:2" or "4:2:0"; ignored for gray.
        header: "jfif" or "compact", as in `write_coefficients`.
        shift: take the gradient in tables alone, as a difference over log q ± shift, less noisy.

    Returns:
        Bits of the scan and of the header, differentiable once in coefficients, tables and alphas.

    Raises:
        ValueError: not 1 or 3 components, a shape that does not fit `size`, an unknown header.

    >>> z, q = torch.zeros(1, 2, 2, 8, 8), torch.ones(8, 8)
    >>> bits = jpeg_bits([z], [q], [1000 * q], size=(16, 16))
    >>> bits.scan.item(), bits.header.item() / 8
    (8.0, 158.0)
    """
    if header not in HEADERS:
        raise ValueError(f"header must be one of {', '.join(HEADERS)}, got {header!r}")
    check_floats(**{f"coefficients[{i}]": z for i, z in enumerate(coefficients)})
    symbols = expected_symbols(
        coefficients, tables, alphas, size=size, subsampling=subsampling, shift=shift
    )
    compact = header == "compact"
    # What may be sent at all needs a code; float sums of whole numbers may be off a little.
    counts = np.ceil(symbols.counts.detach().cpu().numpy().astype(np.float64) - 1e-3)
    images = [
        _image_bits(ExpectedSymbols(*expected), counts_of_image, compact)
        for *expected, counts_of_image in zip(*symbols, counts.astype(np.int64), strict=True)
    ]
    scan, listed = torch.stack(images, 1)
    return JpegBits(scan, 8 * (listed + _other_bytes(tables, header)))


def _image_bits(symbols: ExpectedSymbols, counts: npt.NDArray[np.int64], compact: bool) -> Tensor:
    """(2,): bits of one image's scan, bytes of its Huffman tables."""
    scan, header = symbols.counts.new_zeros(2)
    for kind in range(2):
        of_kind = counts[:, kind]
        sharing = (
            smallest_sharing(of_kind)
            if compact
            else optimal_sharing(of_kind, LUMA_CHROMA[: len(of_kind)])
        )
        lengths = np.stack([_lengths(table) for table in sharing.of_components])
        bits = torch.from_numpy(lengths + (np.arange(256) & 15)).to(symbols.counts)
        scan = scan + (symbols.counts[:, kind] * bits).sum()
        for number in range(len(sharing.tables)):
            members = [c for c, table in enumerate(sharing.table_of) if table == number]
            presence = -torch.expm1(symbols.absence[members, kind].sum(0))
            header = header + presence.sum() + _TABLE_BYTES + (0 if compact else _SEGMENT_BYTES)
    return torch.stack([scan, header])


def _lengths(table: HuffmanTable) -> npt.NDArray[np.int64]:
    """Code lengths (256,); a symbol without a code would get one of the longest."""
    lengths = code_lengths(table)
    return np.where(lengths == 0, min(lengths.max() + 1, MAX_CODE_LENGTH), lengths)


def _other_bytes(tables: Sequence[Tensor], header: Header) -> int:
    """Bytes of a file besides its scan and its Huffman tables."""
    steps = [np.clip(np.round(q.detach().cpu().numpy()), 1, 255).astype(int) for q in tables]
    block: Any = np.zeros((1, 1, 8, 8), dtype=np.int16)
    data = write_coefficients([block] * len(steps), steps, size=(8, 8), header=header)
    pieces = bytes_by_marker(data)
    return (
        len(data) - pieces["scan"] - pieces["DHT"] + (_SEGMENT_BYTES if header == "compact" else 0)
    )
