"""Where in an image networks look, and files that spend their bits there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softjpeg.codec.closed_loop.candidates import Candidate
from softjpeg.codec.closed_loop.gradients import resampled
from softjpeg.codec.closed_loop.index_steps import symbol_bits
from softjpeg.codec.closed_loop.judge import Judge
from softjpeg.codec.image import encode
from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.codec.trellis import decide_blocks
from softjpeg.common.image_set import from_image
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.models.inference import device_of
from softjpeg.presets.preset import Preset

_LEAST = 0.05
"""Added to a weight of mean 1: a gradient is not all that counts in a block."""
_ROUNDS = 2


def saliency_maps(judge: Judge, images: Sequence[Any], batch_size: int = 16) -> list[Tensor]:
    """How much an error in each 8x8 block costs networks, from one backward pass.

    It is the squared gradient of the answer (the best class' log-probability; the squared norm of
    what is no list of classes) over the block's pixels and those around it, mean 1; of several
    networks the mean.

    Args:
        judge: the networks.
        images: Pillow images, or uint8 tensors (3 or 1, H, W).
        batch_size: images that a network reads at once.

    Returns:
        Of each image (ceil(H / 8), ceil(W / 8)).
    """
    maps = []
    for start in range(0, len(images), batch_size):
        pictures = [to_pillow_image(image) for image in images[start : start + batch_size]]
        pixels = [(from_image(picture) / 255).requires_grad_() for picture in pictures]
        totals = [torch.zeros(()) for _ in pixels]
        for network in judge.networks:
            seen = [resampled(image, network) for image in pixels]
            outputs = network.module(torch.stack(seen).to(device_of(network.module)))
            classes = outputs.ndim == 2
            score = outputs.log_softmax(-1).amax(-1) if classes else outputs.square()
            gradients = torch.autograd.grad(score.sum(), pixels)
            found = [_smooth(gradient) for gradient in gradients]
            totals = [a + b / b.mean().clamp(min=1e-30) for a, b in zip(totals, found, strict=True)]
        maps += [total / len(judge.networks) for total in totals]
    return maps


def salient_candidates(
    presets: Mapping[str, Preset], saliency: Tensor, prices: Sequence[float], **options: Any
) -> list[Candidate]:
    """Candidates for one image that leave out what costs much where a network hardly looks.

    Every block's AC indices are those of least ``w Σ (z/q - k)² + price·bits``, w its saliency.

    Args:
        presets: by name, from the smallest files to the largest.
        saliency: (rows, columns) of the image's luma blocks, from `saliency_maps`.
        prices: squared quantization steps that a bit is worth; 0.02 to 0.1 is usual.
        options: as for `softjpeg.encode`.
    """
    return [
        Candidate(
            f"{name} salient {price:g}",
            partial(
                encode,
                preset=preset,
                mode=partial(_decide, saliency=saliency, price=price),
                **options,
            ),
        )
        for name, preset in presets.items()
        for price in prices
    ]


def _decide(
    coefficients: Sequence[Tensor], preset: Preset, *, saliency: Tensor, price: float
) -> list[Tensor]:
    tables = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]
    ratios = [z / table for z, table in zip(coefficients, tables, strict=False)]
    indices = [torch.round(ratio).long() for ratio in ratios]
    ones = torch.ones(8, 8)
    weights = [
        F.adaptive_avg_pool2d(saliency[None, None], (ratio.shape[0], ratio.shape[1]))[0, 0] + _LEAST
        for ratio in ratios
    ]
    for _ in range(_ROUNDS):
        for kind in ([0], [1, 2])[: len(ratios)]:
            blocks = torch.cat([indices[c].reshape(-1, 64) for c in kind])
            bits = symbol_bits(blocks[:, torch.from_numpy(ZIGZAG)])
            for c in kind:
                weight = weights[c].reshape(-1, 1, 1).expand(-1, 8, 8)
                flat = ratios[c].reshape(-1, 8, 8)
                indices[c] = decide_blocks(flat, ones, weight, price, bits).reshape(ratios[c].shape)
    return indices


def _smooth(gradient: Tensor) -> Tensor:
    """The square of (3, H, W) summed over blocks, the mean of each and its neighbours."""
    energy = gradient.square().sum(0)
    height, width = energy.shape
    padded = F.pad(energy, (0, -width % 8, 0, -height % 8))
    blocks = F.avg_pool2d(padded[None], 8)
    return F.avg_pool2d(blocks, 3, 1, 1, count_include_pad=False)[0]
