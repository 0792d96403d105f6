"""A network that wants images of one size, reading those of another."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Resized(nn.Module):
    """Bilinear resizing (antialiased where it shrinks) in front of a network.

    Several networks are thus asked about the same crops, encoded at one size.

    Args:
        network: takes (B, 3, H, W) of `size`.
        size: (height, width).

    >>> import torch
    >>> network = Resized(nn.Flatten(), (4, 6))
    >>> tuple(network(torch.rand(2, 3, 8, 8)).shape)
    (2, 72)
    """

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] of any size → the network's output."""
        if tuple(images.shape[-2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        output: Tensor = self.network(images)
        return output


def reading(network: nn.Module, size: tuple[int, int] | None, images: Tensor) -> nn.Module:
    """The network itself where it reads images of this size, else `Resized`.

    Args:
        network: takes (B, 3, H, W) of `size`.
        size: (height, width); None where any will do.
        images: (N, 3, H, W) that it will be asked about.

    >>> import torch
    >>> type(reading(nn.Flatten(), None, torch.zeros(1, 3, 8, 8))).__name__
    'Flatten'
    """
    if size is None or tuple(images.shape[-2:]) == size:
        return network
    return Resized(network, size)
