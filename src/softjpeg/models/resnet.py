"""The residual networks for 32×32 images (He et al. 2016, sec. 4.2), projection shortcuts.

Tensors are named as in RepDistiller (Tian et al. 2020), whose checkpoints fit.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.common.bounds import MAX_RESNET
from softjpeg.models.initialization import initialize


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, which is a 1×1 convolution where the shape changes.

    Args:
        inside, outside: channels of input and output.
        stride: of the first convolution and of the shortcut.
    """

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) → (B, outside, H / stride, W / stride)."""
        y: Tensor = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """ResNet-N for small images: three stages of (N - 2) / 6 blocks with 16, 32, 64 channels.

    Args:
        depth: N = 6n + 2, from 8 to 1202.
        classes: how many logits.

    Shape:
        (B, 3, H, W) → (B, classes); the stages see H, H/2 and H/4.

    >>> import torch
    >>> tuple(ResNet(8, classes=10)(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, depth: int, classes: int) -> None:
        super().__init__()
        if not 8 <= depth <= MAX_RESNET or depth % 6 != 2:
            raise ValueError(f"depth must be 6n + 2, from 8 to {MAX_RESNET}, got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(blocks, 16, 16, stride=1)
        self.layer2 = _stage(blocks, 16, 32, stride=2)
        self.layer3 = _stage(blocks, 32, 64, stride=2)
        self.fc = nn.Linear(64, classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, classes) logits."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def _stage(blocks: int, inside: int, outside: int, stride: int) -> nn.Sequential:
    rest = (BasicBlock(outside, outside) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(inside, outside, stride), *rest)
