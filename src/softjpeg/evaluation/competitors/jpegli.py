"""jpegli: Google's JPEG encoder, with tables and adaptive dead zones of its own."""

from __future__ import annotations

from functools import partial

import numpy as np
from torch import Tensor

from softjpeg.common.extras import import_extra
from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.encoders import Encoder
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.writer import write_coefficients


def jpegli(context: Context) -> dict[str, Encoder]:
    """One encoder for each quality; 4:2:0, which is all that its package writes."""
    return {f"q {q}": partial(_encode, quality=q) for q in context.qualities}


def _encode(image: Tensor, quality: int) -> bytes:
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())
    height, width = pixels.shape[:2]
    package = import_extra("pyjpegli", extra="competitors")
    file = read_coefficients(package.encode(pixels, width, height, quality=quality))
    # The package codes with Annex K's Huffman tables: the same coefficients, optimized as all are.
    return write_coefficients(
        file.components, file.tables, size=file.size, subsampling=file.subsampling
    )
