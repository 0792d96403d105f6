"""Initial tables of a JPEG layer (JPEG-DL, sec. 4): by sensitivity, by magnitude, or at random.

Tables that come by name, ones or Annex K at a quality, need no file of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.common.torch_modes import usual_modes
from softjpeg.functional.dct import block_dct, block_idct
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.nn.wrapping import find_module


def tables_from_sensitivity(s: Tensor, q_max: float = 10.0) -> tuple[Tensor, ...]:
    """Finer steps where the loss is more sensitive; the largest luma step is `q_max`.

    ``q_Y = q_max·(1/s_Y)/max(1/s_Y)``, ``q_C = q_max·(2/(s_Cb + s_Cr))/max(1/s_Y)``.

    Args:
        s: mean squared gradients (3, 8, 8) of Y, Cb, Cr, or (1, 8, 8) of feature maps; > 0.
        q_max: largest step.

    Returns:
        (luma, chroma) or (luma,), each (8, 8) > 0.

    >>> [table[0, 0].item() for table in tables_from_sensitivity(torch.ones(3, 8, 8))]
    [10.0, 10.0]
    """
    s = s.clamp_min(torch.finfo(s.dtype).tiny)
    largest = (1 / s[0]).max()
    luma = q_max / s[0] / largest
    return (luma,) if len(s) == 1 else (luma, q_max * 2 / (s[1] + s[2]) / largest)


def tables_from_magnitude(magnitude: Tensor, bits: int = 8) -> tuple[Tensor, ...]:
    """LSQ's start ``q = 2·E|z| / √(2^{b-1})`` (Esser et al. 2019, sec. 2.1).

    Args:
        magnitude: E|z|, (3, 8, 8) of Y, Cb, Cr or (1, 8, 8) of feature maps; ≥ 0.
        bits: b, 2..16.

    Returns:
        (luma, chroma) or (luma,), each (8, 8) > 0; chroma from the mean of Cb and Cr.

    Raises:
        ValueError: `bits` out of range.

    >>> round(tables_from_magnitude(torch.ones(1, 8, 8))[0][0, 0].item(), 3)
    0.177
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits must be 2..16, got {bits}")
    steps = (2 * magnitude / 2 ** ((bits - 1) / 2)).clamp_min(1e-5)
    return (steps[0],) if len(steps) == 1 else (steps[0], steps[1:].mean(0))


def random_tables(q_max: float, kinds: int, seed: int) -> tuple[Tensor, ...]:
    """A control: steps that know nothing of frequency, log-uniform in [q_max/1000, q_max].

    Args:
        q_max: the largest step.
        kinds: how many tables.
        seed: the same one gives the same tables.

    Returns:
        `kinds` tables, each (8, 8).

    >>> luma, chroma = random_tables(10.0, kinds=2, seed=0)
    >>> bool(((luma >= 0.01) & (luma <= 10)).all())
    True
    """
    generator = torch.Generator().manual_seed(seed)
    exponents = 3 * torch.rand(kinds, 8, 8, generator=generator) - 3
    return tuple(q_max * 10**exponents)


@usual_modes()
def image_statistics(
    model: nn.Module, images: Tensor, labels: Tensor, subsampling: Subsampling = "4:4:4"
) -> tuple[Tensor, Tensor]:
    """E(∂loss/∂z)² and E|z| of the coefficients of a batch of images.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits; its mode (train, eval) is kept.
        images: (B, 3, H, W) float in [0, 1].
        labels: (B,) class indices; the loss is the cross entropy of each image.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".

    Returns:
        (sensitivity, magnitude), each (3, 8, 8): Y, Cb, Cr; means over images and blocks.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> s, magnitude = image_statistics(network, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]))
    >>> tuple(s.shape), tuple(magnitude.shape)
    ((3, 8, 8), (3, 8, 8))
    """
    size = (images.shape[-2], images.shape[-1])
    z = tuple(c.detach().requires_grad_() for c in image_to_coefficients(images, subsampling))
    loss = F.cross_entropy(
        model(coefficients_to_image(z, size, subsampling)), labels, reduction="sum"
    )
    gradients = torch.autograd.grad(loss, z)
    return _mean(gradients, torch.square), _mean(z, torch.abs)


@usual_modes()
def feature_statistics(
    model: nn.Module, at: str, images: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """As `image_statistics`, of the feature maps that the module at a dotted path gives out.

    Args:
        model: from images to logits (B, classes).
        at: dotted path of a module whose output is (B, C, H, W).
        images: (B, 3, H, W) as the model reads them.
        labels: (B,) classes.

    Returns:
        (sensitivity, magnitude), each (1, 8, 8): means over images, channels and blocks.

    Raises:
        ValueError: the model has no module `at`, or what it gives out is no feature map.

    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 5))
    >>> s, _ = feature_statistics(network, "0", torch.rand(2, 3, 8, 8), torch.tensor([0, 1]))
    >>> tuple(s.shape)
    (1, 8, 8)
    """
    coefficients: list[Tensor] = []

    def through_coefficients(_module: nn.Module, _inputs: object, features: Tensor) -> Tensor:
        if features.ndim != 4:
            shape = tuple(features.shape)
            raise ValueError(f"module {at!r} must give (B, C, H, W), got {shape}")
        height, width = features.shape[-2:]
        padded = F.pad(features.float(), (0, -width % 8, 0, -height % 8), mode="replicate")
        coefficients.append(block_dct(padded).detach().requires_grad_())
        return block_idct(coefficients[0])[..., :height, :width].to(features.dtype)

    with find_module(model, at).register_forward_hook(through_coefficients):
        loss = F.cross_entropy(model(images), labels, reduction="sum")
    gradients = torch.autograd.grad(loss, coefficients)
    return _mean(gradients, torch.square), _mean(coefficients, torch.abs)


def _mean(planes: tuple[Tensor, ...] | list[Tensor], of: Callable[[Tensor], Tensor]) -> Tensor:
    means = [of(plane.detach().float()).flatten(0, -3).mean(0) for plane in planes]
    return torch.stack(means).cpu()
