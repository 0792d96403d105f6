"""MobileNetV2 at half width for 32×32 images (Sandler et al. 2018).

Tensors are named as in RepDistiller (Tian et al. 2020), whose checkpoints of it (there
"mobile_half") fit.
"""

from __future__ import annotations

from torch import Tensor, nn

from softjpeg.models.initialization import initialize

_WIDTH = 0.5
# Expansion, channels at full width, blocks, stride of the first: as in the paper's Table 2, but
# stride 1 where it has 24 channels.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """1×1 to more channels, 3×3 on each channel, 1×1 back; a shortcut where the shape stays.

    Args:
        inside, outside: channels of input and output.
        stride: of the 3×3 convolution.
        expansion: channels between, as a multiple of `inside`.
    """

    def __init__(self, inside: int, outside: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.shortcut = stride == 1 and inside == outside
        wide = inside * expansion
        self.conv = nn.Sequential(
            nn.Conv2d(inside, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) → (B, outside, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class MobileNetV2(nn.Module):
    """MobileNetV2, expansion 6, width 0.5.

    The first convolution is ``conv1.0``; ``conv1`` is it with its batch norm and ReLU.

    Args:
        classes: how many logits.

    Shape:
        (B, 3, H, W) → (B, classes); the last feature map has H/16 × W/16.

    >>> import torch
    >>> tuple(MobileNetV2(classes=10).eval()(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        inside = int(32 * _WIDTH)
        self.conv1 = _convolution(3, inside, kernel=3, stride=2)
        self.blocks = nn.ModuleList()
        for expansion, width, count, stride in _STAGES:
            stage = nn.Sequential()
            for i in range(count):
                outside = int(width * _WIDTH)
                stage.append(InvertedResidual(inside, outside, stride if i == 0 else 1, expansion))
                inside = outside
            self.blocks.append(stage)
        # As in the paper, the last convolution is not made narrower.
        self.conv2 = _convolution(inside, 1280, kernel=1)
        self.classifier = nn.Sequential(nn.Linear(1280, classes))
        initialize(self, classifier_std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), normalized → (B, classes) logits."""
        x = self.conv1(x)
        for stage in self.blocks:
            x = stage(x)
        logits: Tensor = self.classifier(self.conv2(x).mean(dim=(2, 3)))
        return logits


def _convolution(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )
