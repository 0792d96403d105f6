"""DeepN-JPEG (Liu et al., DAC 2018): steps by how much a coefficient varies over the images."""

from __future__ import annotations

import torch
from torch import Tensor

from softjpeg.evaluation.competitors.competitor import Context
from softjpeg.evaluation.competitors.scaling import quality_scale, scaled_preset
from softjpeg.evaluation.encoders import Encoder, preset_encoder
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling


def deepn_jpeg(context: Context) -> dict[str, Encoder]:
    """The paper's tables scaled as by a quality; at 50 they are the paper's.

    Cb and Cr share the table of their pooled deviation.
    """
    assert context.images is not None
    sigma = deviations(context.images, context.subsampling)
    chroma = (sigma[1:] ** 2).mean(0).sqrt()
    tables = deepn_steps(sigma[0]), deepn_steps(chroma)
    return {
        f"q {q}": preset_encoder(scaled_preset(tables, quality_scale(q), context.subsampling))
        for q in context.qualities
    }


def deepn_steps(sigma: Tensor) -> Tensor:
    """The piecewise linear map from a coefficient's standard deviation σ to its step.

    ``max(5, 255 - 9.75σ)`` for σ ≤ 20, ``80 - σ`` up to 60, ``max(5, 240 - 3σ)`` above: the
    paper's a, b, c, k1, k2, k3, thresholds and least step for ImageNet.

    Args:
        sigma: any shape, pixel scale of an orthonormal DCT.

    >>> deepn_steps(torch.tensor([0.0, 20.0, 40.0, 70.0, 300.0])).tolist()
    [255.0, 60.0, 40.0, 30.0, 5.0]
    """
    high, middle, low = 255 - 9.75 * sigma, 80 - sigma, 240 - 3 * sigma
    return torch.where(sigma <= 20, high, torch.where(sigma <= 60, middle, low)).clamp_min(5)


def deviations(images: Tensor, subsampling: Subsampling, batch_size: int = 32) -> Tensor:
    """Standard deviation of every component's coefficients over images and blocks.

    Args:
        images: (N, 3, H, W) uint8.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        batch_size: images transformed at once.

    Returns:
        (3, 8, 8) ≥ 0, pixel scale.

    >>> deviations(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "4:4:4").max().item()
    0.0
    """
    moments = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        for c, z in enumerate(image_to_coefficients(batch.float() / 255, subsampling)):
            blocks = z.reshape(-1, 8, 8).double()
            share = len(batch) / len(images)
            moments[:, c] += share * torch.stack([blocks.mean(0), (blocks**2).mean(0)])
    return (moments[1] - moments[0] ** 2).clamp_min(0).sqrt().float()
