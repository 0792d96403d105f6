"""Synthetic images, most with the spectrum of photos; the same for the same seed."""

import io

import numpy as np
import torch
from PIL import Image
from torch import nn


def photos(count=24, side=32, seed=0):
    """uint8 (count, 3, side, side): low-pass colour noise plus grain."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=g)
    smooth = nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    grain = torch.randn(count, 1, side, side, generator=g) * 0.08
    return ((smooth * 0.6 + 0.2 + grain).clamp(0, 1) * 255).round().to(torch.uint8)


def noise(count=16, side=16, seed=0):
    """uint8 (count, 3, side, side): every value independent."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=g).to(torch.uint8)


def smooth_images(count, height, width, seed=0, grain=0.0):
    """uint8 (count, 3, height, width): colours of a coarse grid, bicubic between them."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 7, generator=g)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    if grain:
        smooth = smooth + grain * torch.randn(smooth.shape, generator=g)
    return (smooth.clamp(0, 1) * 255).round().to(torch.uint8)


def smooth_image(height=45, width=62, seed=0, cells=6, low=0, high=256):
    """Such an image for Pillow, of cells x cells colours from low to high - 1.

    A seed may be a NumPy generator, which the next image then goes on with.
    """
    colors = np.random.default_rng(seed).integers(low, high, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC)


def as_tensor(image):
    """A Pillow image as uint8 (3, height, width)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def coefficients(count=6, seed=0):
    """(Y, Cb, Cr), each (count, 4, 4, 8, 8): Gaussian, smaller at high frequencies."""
    g = torch.Generator().manual_seed(seed)
    scale = 60 / (1 + torch.arange(8)[:, None] + torch.arange(8)) ** 1.2
    return tuple(torch.randn(count, 4, 4, 8, 8, generator=g) * scale for _ in range(3))


def png(seed):
    """A file of a small smooth image."""
    file = io.BytesIO()
    smooth_image(20, 24, seed).save(file, "PNG")
    return file.getvalue()
