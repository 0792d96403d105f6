"""Images for the examples: a folder's, or a few made-up ones."""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from softjpeg.common.image_set import load_images


def pictures(size: int, count: int = 8) -> Tensor:
    """(N, 3, size, size) uint8: of the folder named on the command line, else smooth noise."""
    if len(sys.argv) > 1:
        return load_images(sys.argv[1], size=size, resize=size).pixels
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, size // 8, size // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    grain = torch.randn(count, 1, size, size, generator=generator) * 0.05
    return ((smooth + grain).clamp(0, 1) * 255).round().to(torch.uint8)
