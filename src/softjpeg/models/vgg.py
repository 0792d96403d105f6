"""VGG with batch norm and one linear layer, for small images (Simonyan & Zisserman 2015).

Tensors are named as in RepDistiller (Tian et al. 2020), whose checkpoints fit.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.models.initialization import initialize


class VGG(nn.Module):
    """VGG-8 or VGG-13: five blocks of 3×3 convolutions with 64, 128, 256, 512, 512 channels.

    The first convolution is ``block0.0``.

    Args:
        depth: 8 (one convolution in each block) or 13 (two).
        classes: how many logits.

    Shape:
        (B, 3, H, W) → (B, classes), H and W at least 8. Each of the first three blocks is followed
        by max pooling; the fourth only where H = 64, so that the last block sees 4×4 there too.

    >>> import torch
    >>> tuple(VGG(8, classes=10)(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        if depth not in (8, 13):
            raise ValueError(f"depth must be 8 or 13, got {depth}")
        convolutions = 1 if depth == 8 else 2
        self.block0 = _block(convolutions, 3, 64)
        self.block1 = _block(convolutions, 64, 128)
        self.block2 = _block(convolutions, 128, 256)
        self.block3 = _block(convolutions, 256, 512)
        self.block4 = _block(convolutions, 512, 512)
        self.classifier = nn.Linear(512, classes)
        initialize(self, classifier_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, classes) logits."""
        large = x.shape[2] == 64
        for block in (self.block0, self.block1, self.block2):
            x = F.max_pool2d(F.relu(block(x)), 2)
        x = F.relu(self.block3(x))
        x = F.relu(self.block4(F.max_pool2d(x, 2) if large else x))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits


def _block(convolutions: int, inside: int, outside: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convolutions):
        layers.append(nn.Conv2d(inside if i == 0 else outside, outside, 3, padding=1))
        layers += [nn.BatchNorm2d(outside), nn.ReLU()]
    # The network itself applies the last one.
    return nn.Sequential(*layers[:-1])
