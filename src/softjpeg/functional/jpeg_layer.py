"""The whole JPEG layer as one function: samples through DCT, quantizers and back (JPEG-DL, sec. 3).

This is the definition of what `softjpeg.JPEGLayer` and `softjpeg.FeatureJPEGLayer` do, and of what
the fused kernels compute where they run instead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.functional.arguments import without_autocast
from softjpeg.functional.dct import block_dct, block_idct
from softjpeg.functional.quantizers import Quantizer, quantize
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.kernels import operator
from softjpeg.kernels.arguments import Layout as Layout
from softjpeg.kernels.arguments import check_layer


def jpeg_layer(
    image: Tensor,
    steps: Tensor,
    alphas: Tensor,
    *,
    layout: Layout = "4:4:4",
    quantizer: Quantizer = "soft",
    rounding: bool = False,
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
) -> Tensor:
    """What a decoder shows of images, or what the quantizer leaves of feature maps; differentiable.

    Args:
        image: (B, C, H, W) float, any H, W ≥ 1. RGB or gray in [0, 1]; planes on their own scale.
        steps: (rounds, kinds, 8, 8) q > 0. The kinds are luma and chroma; of "planes" one for all
            channels, or one for each. Rounds are quantizers in a row.
        alphas: of the same shape, sharpness α > 0 = hardness / q².
        layout: "4:4:4", "4:2:2", "4:2:0": three channels of RGB, chroma subsampled as libjpeg does;
            "gray": one channel, of the first kind; "planes": channels neither scaled nor shifted,
            padded by their last samples.
        quantizer: one of `softjpeg.functional.quantizers.QUANTIZERS`.
        rounding: round and clamp samples and pixels as a codec does, straight-through; not for
            "planes".
        levels: L of the index set {-L..L}; None for all integers.
        window: odd number of indices the soft sum runs over; None for all of the index set.
        zero_dc: set every block's DC coefficient to 0 first.

    Returns:
        Like `image`. Half precision is computed in float32.

    Raises:
        ValueError: an argument of another shape or an unknown layout or quantizer.

    >>> x, tables = torch.rand(2, 3, 9, 9), torch.full((1, 2, 8, 8), 16.0)
    >>> tuple(jpeg_layer(x, tables, 20 / tables**2, layout="4:2:0").shape)
    (2, 3, 9, 9)
    """
    if quantizer == "soft" and operator.supports(image, steps, alphas, levels, window):
        return operator.jpeg_layer(image, steps, alphas, layout, rounding, levels, window, zero_dc)
    check_layer(image, steps, alphas, layout)

    def quantized(z: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
        return quantize_rounds(
            z, q, alpha, quantizer=quantizer, levels=levels, window=window, zero_dc=zero_dc
        )

    height, width = image.shape[-2:]
    # Half precision has too few bits for coefficients of up to 1024.
    with without_autocast(image):
        samples = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
        if layout == "planes":
            padded = F.pad(samples, (0, -width % 8, 0, -height % 8), mode="replicate")
            each = (tables[:, :, None, None] for tables in (steps, alphas))
            shown = block_idct(quantized(block_dct(padded), *each))[..., :height, :width]
        else:
            subsampling = "4:4:4" if layout == "gray" else layout
            coefficients = image_to_coefficients(samples, subsampling, rounding=rounding)
            kinds = (0, 1, 1)[: len(coefficients)]
            dequantized = [
                quantized(z, steps[:, kind], alphas[:, kind])
                for z, kind in zip(coefficients, kinds, strict=True)
            ]
            size = (height, width)
            shown = coefficients_to_image(dequantized, size, subsampling, rounding=rounding)
    return shown.to(image.dtype)


def quantize_rounds(
    z: Tensor,
    steps: Tensor,
    alphas: Tensor,
    *,
    quantizer: Quantizer = "soft",
    levels: int | None = None,
    window: int | None = None,
    zero_dc: bool = False,
) -> Tensor:
    """All rounds of one component's coefficients, each with its own table.

    Args:
        z: (..., 8, 8) coefficients.
        steps, alphas: (rounds, ..., 8, 8), each round broadcastable to z.
        quantizer, levels, window, zero_dc: as of `jpeg_layer`.

    Returns:
        (..., 8, 8).

    >>> steps = torch.tensor([4.0, 10.0])[:, None, None].expand(2, 8, 8)
    >>> z = torch.full((8, 8), 17.0)
    >>> quantize_rounds(z, steps, steps, quantizer="hard").unique().item()  # 17 → 16 → 20
    20.0
    """
    if zero_dc:
        without_dc = torch.ones(8, 8, dtype=z.dtype, device=z.device)
        without_dc[0, 0] = 0
        z = z * without_dc
    for q, alpha in zip(steps, alphas, strict=True):
        z = quantize(z, q, alpha, kind=quantizer, levels=levels, window=window)
    return z
