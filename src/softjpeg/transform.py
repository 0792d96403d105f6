"""An image as JPEG's coefficients, and back: colour, subsampling and DCT in one step each way."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from softjpeg.color import merge_planes, split_planes
from softjpeg.dct import block_dct, block_idct


def image_to_coefficients(
    image: Tensor, subsampling: str, *, rounding: bool = False
) -> tuple[Tensor, ...]:
    """DCT coefficients of every component.

    Args:
        image: (..., 3, H, W) RGB or (..., 1, H, W) gray, float, [0, 1]; any H, W ≥ 1.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rounding: round the samples as libjpeg does before its DCT, straight-through.

    Returns:
        (Y, Cb, Cr) or (Y,): each (..., rows, columns, 8, 8) on the pixel scale 0..255.

    >>> import torch
    >>> [tuple(c.shape) for c in image_to_coefficients(torch.rand(3, 32, 20), "4:2:0")]
    [(4, 3, 8, 8), (2, 2, 8, 8), (2, 2, 8, 8)]
    """
    planes = split_planes(image * 255, subsampling, rounding=rounding)
    return tuple(block_dct(plane) for plane in planes)


def coefficients_to_image(
    coefficients: Sequence[Tensor],
    size: tuple[int, int],
    subsampling: str,
    *,
    rounding: bool = False,
) -> Tensor:
    """Inverse of `image_to_coefficients`: what a decoder shows.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,), dequantized.
        size: (height, width) of the image.
        subsampling: as the coefficients were made.
        rounding: round and clamp as libjpeg's decoder does, straight-through.

    Returns:
        (..., 3 or 1, H, W) float, nominally [0, 1].

    >>> import torch
    >>> x = torch.rand(3, 9, 9)
    >>> y = coefficients_to_image(image_to_coefficients(x, "4:4:4"), (9, 9), "4:4:4")
    >>> torch.allclose(x, y, atol=1e-4)
    True
    """
    planes = [block_idct(c) for c in coefficients]
    return merge_planes(planes, size, subsampling, rounding=rounding) / 255
