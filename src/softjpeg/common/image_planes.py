"""Pillow interleaves the channels of a pixel, a tensor has planes: each from the other, fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def planes_of(picture: Image.Image) -> Tensor:
    """A Pillow image of mode "RGB" or "L" as uint8 (3 or 1, H, W), contiguous.

    >>> planes_of(Image.new("RGB", (2, 1), (1, 2, 3))).tolist()
    [[[1, 1]], [[2, 2]], [[3, 3]]]
    """
    import torch

    # Pillow takes the pixels apart many times faster than a transposed copy.
    return torch.from_numpy(np.stack([np.asarray(band) for band in picture.split()]))


def picture_of(planes: Tensor) -> Image.Image:
    """The inverse of `planes_of`.

    >>> import torch
    >>> picture_of(torch.tensor([[[1, 1]], [[2, 2]], [[3, 3]]]).byte()).getpixel((1, 0))
    (1, 2, 3)
    """
    bands = [Image.fromarray(plane) for plane in planes.detach().cpu().numpy()]
    return bands[0] if len(bands) == 1 else Image.merge("RGB", bands)
