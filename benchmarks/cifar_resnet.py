"""The CIFAR ResNets of He et al. 2016 (sec. 4.2), option A shortcuts, input RGB in [0, 1].

Weights: state dicts of github.com/akamaster/pytorch_resnet_cifar10, in the folder that the
environment variable SOFTJPEG_CIFAR_RESNETS names.
"""

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.widen = stride, (outside - inside) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0,) * 4 + (self.widen,) * 2)
        return F.relu(y + shortcut)


class ResNet(nn.Module):
    def __init__(self, depth: int, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inside = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for i in range((depth - 2) // 6):
                blocks.append(BasicBlock(inside, width, 2 if stage > 1 and i == 0 else 1))
                inside = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], False)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1((x - self.mean) / self.std)))
        y = self.layer3(self.layer2(self.layer1(y)))
        return self.linear(y.mean(dim=(2, 3)))


def load(depth: int, folder: str | Path | None = None) -> nn.Module:
    folder = Path(folder or os.environ["SOFTJPEG_CIFAR_RESNETS"])
    (file,) = folder.glob(f"resnet{depth}-*.th")
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    model = ResNet(depth)
    model.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return model.eval()


def resnet20() -> nn.Module:
    return load(20)


def resnet56() -> nn.Module:
    return load(56)
