"""An image as JPEG's coefficients, and back: colour, subsampling and DCT in one step each way.

On the CPU in float32 a C kernel does it, where it was built.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from softjpeg.functional.color import merge_planes, split_planes
from softjpeg.functional.dct import block_dct, block_idct
from softjpeg.functional.straight_through import straight_through
from softjpeg.jpeg.subsampling import Subsampling, luma_factors
from softjpeg.kernels.cpu.transform import coefficient_shapes
from softjpeg.kernels.cpu.transform_autograd import Operator, is_fast


def image_to_coefficients(
    image: Tensor, subsampling: Subsampling, *, rounding: bool = False
) -> tuple[Tensor, ...]:
    """DCT coefficients of every component.

    Args:
        image: (..., 3, H, W) RGB or (..., 1, H, W) gray, float in [0, 1] or uint8; any H, W ≥ 1.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rounding: round the samples as libjpeg does before its DCT, straight-through.

    Returns:
        (Y, Cb, Cr) or (Y,): each (..., rows, columns, 8, 8) on the pixel scale 0..255.

    >>> import torch
    >>> [tuple(c.shape) for c in image_to_coefficients(torch.rand(3, 32, 20), "4:2:0")]
    [(4, 3, 8, 8), (2, 2, 8, 8), (2, 2, 8, 8)]
    """
    if image.ndim >= 3 and image.shape[-3] in (1, 3) and is_fast(image):
        *lead, channels, height, width = image.shape
        operator = Operator(True, (height, width), _factors(channels, subsampling), rounding)
        coefficients = operator(image.reshape(-1, channels, height, width))
        return tuple(z.reshape(*lead, *z.shape[1:]) for z in coefficients)
    pixels = image.float() if image.dtype == torch.uint8 else image * 255
    planes = split_planes(pixels, subsampling, rounding=rounding)
    return tuple(block_dct(plane) for plane in planes)


def coefficients_to_image(
    coefficients: Sequence[Tensor],
    size: tuple[int, int],
    subsampling: Subsampling,
    *,
    rounding: bool = False,
    steps: Sequence[Tensor] | None = None,
) -> Tensor:
    """Inverse of `image_to_coefficients`: what a decoder shows.

    Args:
        coefficients: (Y, Cb, Cr) or (Y,).
        size: (height, width) of the image.
        subsampling: as the coefficients were made.
        rounding: round and clamp as libjpeg's decoder does, straight-through.
        steps: per component (8, 8) > 0: coefficients are rounded to these first, straight-through
            to the coefficients alone.

    Returns:
        (..., 3 or 1, H, W) float, nominally [0, 1].

    >>> import torch
    >>> x = torch.rand(3, 9, 9)
    >>> y = coefficients_to_image(image_to_coefficients(x, "4:4:4"), (9, 9), "4:4:4")
    >>> torch.allclose(x, y, atol=1e-4)
    True
    """
    if _are_whole(coefficients, size, subsampling) and is_fast(*coefficients, *(steps or ())):
        lead, channels = coefficients[0].shape[:-4], len(coefficients)
        operator = Operator(
            False,
            (size[0], size[1]),
            _factors(channels, subsampling),
            rounding,
            steps=None if steps is None else tuple(steps),
        )
        (image,) = operator(*(z.reshape(-1, *z.shape[-4:]) for z in coefficients))
        return image.reshape(*lead, channels, *size)
    if steps is not None:
        coefficients = [
            straight_through(q.detach() * torch.round(c / q), c)
            for c, q in zip(coefficients, steps, strict=True)
        ]
    planes = [block_idct(c) for c in coefficients]
    return merge_planes(planes, size, subsampling, rounding=rounding) / 255


def _factors(channels: int, subsampling: Subsampling) -> tuple[int, int]:
    return luma_factors(subsampling) if channels == 3 else (1, 1)


def _are_whole(
    coefficients: Sequence[Tensor], size: tuple[int, int], subsampling: Subsampling
) -> bool:
    """Whether these are the float32 coefficients of just the blocks that make up such an image."""
    if len(coefficients) not in (1, 3) or min(size) < 1:
        return False
    shape = (1, len(coefficients), *size)
    wanted = coefficient_shapes(shape, _factors(len(coefficients), subsampling))
    lead = coefficients[0].shape[:-4]
    return all(
        z.dtype == torch.float32 and z.shape == (*lead, *shape[1:])
        for z, shape in zip(coefficients, wanted, strict=True)
    )
