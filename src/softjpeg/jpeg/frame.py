"""What any sequential JPEG file holds: components of any number and sampling, and their tables."""

from __future__ import annotations

from dataclasses import dataclass

from softjpeg.jpeg.entropy.limits import Coefficients
from softjpeg.jpeg.tables import Table


@dataclass(frozen=True, eq=False)
class Frame:
    """The image of a JPEG file before dequantization, in the terms of its frame header."""

    size: tuple[int, int]
    """(height, width) in pixels."""
    identifiers: tuple[int, ...]
    """Per component the byte that names it; 1, 2, 3 for Y, Cb, Cr."""
    factors: tuple[tuple[int, int], ...]
    """Per component its sampling factors (H, V)."""
    planes: tuple[Coefficients, ...]
    """Per component (rows, columns, 8, 8) int16, quantized, raster order."""
    tables: tuple[Table, ...]
    """Per component its quantization table (8, 8)."""
    restart_interval: int = 0
    """In MCUs; 0 = off."""
