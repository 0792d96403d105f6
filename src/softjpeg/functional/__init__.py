"""The mathematics as pure PyTorch functions: colour, DCT, quantizers, rate, the whole layer.

Every kernel is tested against these.
"""

from softjpeg.functional.color import (
    downsample,
    merge_planes,
    rgb_to_ycbcr,
    split_planes,
    upsample,
    ycbcr_to_rgb,
)
from softjpeg.functional.cpmf import cpmf, sample_index
from softjpeg.functional.dct import block_dct, block_idct
from softjpeg.functional.quantizers import (
    cubic_quantize,
    hard_quantize,
    lsq_quantize,
    noise_quantize,
    quantize,
)
from softjpeg.functional.soft_quantizer import soft_quantize

__all__ = [
    "block_dct",
    "block_idct",
    "cpmf",
    "cubic_quantize",
    "downsample",
    "hard_quantize",
    "lsq_quantize",
    "merge_planes",
    "noise_quantize",
    "quantize",
    "rgb_to_ycbcr",
    "sample_index",
    "soft_quantize",
    "split_planes",
    "upsample",
    "ycbcr_to_rgb",
]
