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
from softjpeg.functional.jpeg_layer import jpeg_layer
from softjpeg.functional.quantizers import (
    cubic_quantize,
    hard_quantize,
    lsq_quantize,
    noise_quantize,
    quantize,
)
from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.rate.jpeg_bits import jpeg_bits
from softjpeg.functional.soft_quantizer import soft_quantize
from softjpeg.kernels.library import pure_functions

__all__ = [
    "block_dct",
    "block_idct",
    "cpmf",
    "cubic_quantize",
    "downsample",
    "entropy_bits",
    "hard_quantize",
    "jpeg_bits",
    "jpeg_layer",
    "lsq_quantize",
    "merge_planes",
    "noise_quantize",
    "pure_functions",
    "quantize",
    "rgb_to_ycbcr",
    "sample_index",
    "soft_quantize",
    "split_planes",
    "upsample",
    "ycbcr_to_rgb",
]
