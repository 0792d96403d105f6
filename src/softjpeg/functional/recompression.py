"""What a decoder shows of coefficients behind other quantization tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from softjpeg.functional.cpmf import sample_index
from softjpeg.functional.transform import coefficients_to_image
from softjpeg.jpeg.subsampling import Subsampling


def recompressed(
    coefficients: Sequence[Tensor],
    tables: tuple[Tensor, Tensor],
    size: tuple[int, int],
    subsampling: Subsampling,
    *,
    hardness: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """What a decoder shows of coefficients behind given tables, rounded as libjpeg rounds.

    Args:
        coefficients: (Y, Cb, Cr) of `image_to_coefficients`, each (B, rows, columns, 8, 8).
        tables: (luma, chroma), each (8, 8) > 0, integers or not.
        size: (height, width) of the images.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        hardness: draw every coefficient from the CPMF of this h = αq²; None rounds it.
        generator: of the draws, on the CPU.

    Returns:
        (B, 3, H, W) RGB in [0, 1].
    """
    luma, chroma = (t.to(coefficients[0]) for t in tables)
    steps = (luma, chroma, chroma)
    if hardness is None:
        return coefficients_to_image(coefficients, size, subsampling, rounding=True, steps=steps)
    z = [
        q * sample_index(c.cpu(), q.cpu(), hardness / q.cpu() ** 2, generator=generator).to(q)
        for c, q in zip(coefficients, steps, strict=True)
    ]
    return coefficients_to_image(z, size, subsampling, rounding=True)
