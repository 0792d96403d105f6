"""A file's coefficients as one list of zigzag blocks, and back to the file or to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.image_planes import planes_of
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.markers import insert_after_header, segments
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.jpeg.tables import ZIGZAG, Table
from softjpeg.jpeg.writer import Header, write_coefficients

_ZIGZAG = torch.from_numpy(ZIGZAG)


@dataclass(frozen=True, eq=False)
class Blocks:
    """A file's coefficients: the blocks of Y, then those of Cb and Cr, each in zigzag order.

    Attributes:
        indices: (N, 64) int64, what the file says.
        ratios: (N, 64) float, the image's own coefficients in quantization steps.
        steps: (N, 64) float, the quantization steps.
        grids: (rows, columns) of each component.
        tables: of each component, raster order.
        size: (height, width) of the image in pixels.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        header: "jfif" or "compact".
        metadata: segments that say how the picture is shown.
    """

    indices: Tensor
    ratios: Tensor
    steps: Tensor
    grids: list[tuple[int, int]]
    tables: tuple[Table, ...]
    size: tuple[int, int]
    subsampling: Subsampling
    header: Header = "compact"
    metadata: bytes = b""

    @property
    def luma(self) -> int:
        """How many blocks are Y's."""
        return self.grids[0][0] * self.grids[0][1]

    def file(self, indices: Tensor) -> bytes:
        """The file with other indices."""
        planes = [plane.to(torch.int16).numpy() for plane in self._planes(indices)]
        tables = self.tables if len(planes) == 1 else (self.tables[0], self.tables[1])
        data = write_coefficients(
            planes, tables, size=self.size, subsampling=self.subsampling, header=self.header
        )
        return insert_after_header(data, self.metadata)

    def pixels(self, coefficients: Tensor) -> Tensor:
        """(3 or 1, H, W) float in [0, 1] of (N, 64) dequantized coefficients, differentiable."""
        return coefficients_to_image(
            self._planes(coefficients), self.size, self.subsampling, rounding=True
        )

    def _planes(self, zigzag: Tensor) -> list[Tensor]:
        raster = torch.empty_like(zigzag).index_copy(1, _ZIGZAG, zigzag)
        parts = torch.split(raster, [rows * columns for rows, columns in self.grids])
        return [part.reshape(*grid, 8, 8) for part, grid in zip(parts, self.grids, strict=True)]


def blocks_of(image: Any, data: bytes) -> Blocks:
    """The blocks of a baseline file, beside those of its image.

    Args:
        image: Pillow image, tensor (3 or 1, H, W) or array; uint8, or float in [0, 1].
        data: a file of that image.

    Raises:
        ValueError: a file that `read_coefficients` cannot read, or one of another size.
    """
    read = read_coefficients(data)
    picture = to_pillow_image(image, gray=len(read.components) == 1)
    if (picture.height, picture.width) != read.size:
        height, width = read.size
        wanted = f"{picture.height} x {picture.width}"
        raise ValueError(f"the file must be {wanted}, got {height} x {width}")
    pixels = planes_of(picture)
    exact = image_to_coefficients(pixels / 255, read.subsampling, rounding=True)
    indices = [torch.from_numpy(c.astype(np.int64)) for c in read.components]
    steps = [
        torch.from_numpy(t).float().expand(c.shape)
        for t, c in zip(read.tables, indices, strict=True)
    ]
    scale = _flat(steps)
    return Blocks(
        _flat(indices),
        _flat(list(exact)) / scale,
        scale,
        [(c.shape[0], c.shape[1]) for c in indices],
        read.tables,
        read.size,
        read.subsampling,
        *_about(data),
    )


def _about(data: bytes) -> tuple[Header, bytes]:
    """The kind of a file's header, and its application segments but JFIF's."""
    pieces = [piece for piece in segments(data) if piece.name.startswith("APP")]
    jfif = [piece for piece in pieces if piece.payload.startswith(b"JFIF\0")]
    metadata = b"".join(
        bytes([0xFF, 0xE0 + int(piece.name[3:])])
        + (len(piece.payload) + 2).to_bytes(2, "big")
        + piece.payload
        for piece in pieces
        if piece not in jfif
    )
    return "jfif" if jfif else "compact", metadata


def _flat(planes: list[Tensor]) -> Tensor:
    return torch.cat([plane.reshape(-1, 64)[:, _ZIGZAG] for plane in planes])
