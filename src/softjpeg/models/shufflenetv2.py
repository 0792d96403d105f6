"""ShuffleNetV2 at width 1 for 32×32 images (Ma et al. 2018).

Tensors are named as in RepDistiller (Tian et al. 2020), whose checkpoints of it (there "ShuffleV2")
fit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Half of the channels pass, the other half goes through 1×1, 3×3 on each channel, 1×1.

    Args:
        channels: of input and output; even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1, self.bn1 = _pointwise(half, half), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = _depthwise(half, stride=1), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _pointwise(half, half), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) → the same shape."""
        identity, y = x.chunk(2, dim=1)
        y = F.relu(self.bn1(self.conv1(y)))
        y = F.relu(self.bn3(self.conv3(self.bn2(self.conv2(y)))))
        return interleave(identity, y)


class DownBlock(nn.Module):
    """Two branches of stride 2, each half of the output.

    Args:
        inside, outside: channels of input and output; `outside` even.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        half = outside // 2
        self.conv1, self.bn1 = _depthwise(inside, stride=2), nn.BatchNorm2d(inside)
        self.conv2, self.bn2 = _pointwise(inside, half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _pointwise(inside, half), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = _depthwise(half, stride=2), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = _pointwise(half, half), nn.BatchNorm2d(half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) → (B, outside, H / 2, W / 2)."""
        left = F.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)))))
        right = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        right = F.relu(self.bn5(self.conv5(right)))
        return interleave(left, right)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 at width 1; the first convolution is 1×1 and keeps the image's size.

    Args:
        classes: how many logits.

    Shape:
        (B, 3, H, W) → (B, classes); the stages see H/2, H/4 and H/8.

    >>> tuple(ShuffleNetV2(classes=10).eval()(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _pointwise(3, 24), nn.BatchNorm2d(24)
        self.layer1 = _stage(3, 24, 116)
        self.layer2 = _stage(7, 116, 232)
        self.layer3 = _stage(3, 232, 464)
        self.conv2, self.bn2 = _pointwise(464, 1024), nn.BatchNorm2d(1024)
        self.linear = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, classes) logits."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


def interleave(left: Tensor, right: Tensor) -> Tensor:
    """The channel shuffle: the channels of two tensors in turn.

    Args:
        left, right: (B, C, H, W).

    Returns:
        (B, 2C, H, W).

    >>> left, right = torch.tensor([0, 1]), torch.tensor([2, 3])
    >>> interleave(left.view(1, 2, 1, 1), right.view(1, 2, 1, 1)).flatten().tolist()
    [0, 2, 1, 3]
    """
    return torch.stack([left, right], dim=2).flatten(1, 2)


def _stage(blocks: int, inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(DownBlock(inside, outside), *(BasicBlock(outside) for _ in range(blocks)))


def _pointwise(inside: int, outside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 1, bias=False)


def _depthwise(channels: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
