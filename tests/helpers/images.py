"""Synthetic images with the spectrum of photos, the same for the same seed."""

import torch
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


def coefficients(count=6, seed=0):
    """(Y, Cb, Cr), each (count, 4, 4, 8, 8): Gaussian, smaller at high frequencies."""
    g = torch.Generator().manual_seed(seed)
    scale = 60 / (1 + torch.arange(8)[:, None] + torch.arange(8)) ** 1.2
    return tuple(torch.randn(count, 4, 4, 8, 8, generator=g) * scale for _ in range(3))
