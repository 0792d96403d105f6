"""What an encoder costs the eye: structural similarity (SSIM) of a file to its image."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.extras import import_extra

_WINDOW = 11


def structural_similarity(shown: Tensor, image: Tensor) -> float:
    """SSIM of luma as Wang et al. (2004) define it: Gaussian windows of 11×11, σ = 1.5.

    A file that shows an image shrunk is enlarged to the image's size first (bicubic), as a viewer
    does.

    Args:
        shown: uint8, (3, h, w) RGB: what a file's decoder shows.
        image: uint8, (3, H, W) RGB.

    Returns:
        At most 1, which is the image itself; NaN for an image with a side below 11 pixels.

    Raises:
        ImportError: scikit-image is not installed.

    >>> import torch
    >>> image = torch.randint(0, 256, (3, 16, 24), dtype=torch.uint8)
    >>> structural_similarity(image, image)
    1.0
    """
    metrics = import_extra("skimage.metrics", extra="report")
    size = (image.shape[-1], image.shape[-2])
    if min(size) < _WINDOW:
        return math.nan
    seen, luma = (
        to_pillow_image(pixels).convert("YCbCr").getchannel(0) for pixels in (shown, image)
    )
    if seen.size != size:
        seen = seen.resize(size, Image.Resampling.BICUBIC)
    value = metrics.structural_similarity(
        np.asarray(seen),
        np.asarray(luma),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(value)
