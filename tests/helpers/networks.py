"""Tiny networks whose answers are known beforehand."""

import torch
from torch import nn


def linear_reader(side, pool, classes, seed=0):
    """Scores (B, classes) of a linear map of the means of pool x pool pixels, random weights."""
    torch.manual_seed(seed)
    means = nn.Sequential(nn.AvgPool2d(pool), nn.Flatten())
    return means.append(nn.Linear(3 * (side // pool) ** 2, classes))


class HighFrequencyReader(nn.Module):
    """Answers from the finest horizontal detail alone, which default tables discard first."""

    def __init__(self):
        super().__init__()
        n = torch.arange(8.0)
        row = torch.cos((2 * n + 1) * 6 * torch.pi / 16)
        self.register_buffer("kernel", (row.expand(8, 8) / 32)[None, None])

    def forward(self, x):
        detail = nn.functional.conv2d(x.mean(1, keepdim=True), self.kernel, stride=8).flatten(1)
        return 60 * torch.cat([detail, -detail], dim=1)


def texture_reader(norm, images):
    """A `TextureReader` whose statistics are the images', as a trained network has them."""
    network = TextureReader(norm).train()
    if isinstance(norm, nn.BatchNorm2d):
        norm.momentum = 1.0
        network(images / 255)
    return network.eval()


class TextureReader(nn.Module):
    """Scores from how much detail of eight frequencies there is, of which JPEG leaves less.

    Args:
        norm: the normalization of eight channels (B, 8, H, W), of which it has one.
    """

    def __init__(self, norm, classes=6, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        n = torch.arange(8.0)
        rows = torch.stack([torch.cos((2 * n + 1) * k * torch.pi / 16) for k in range(8)])
        kernels = rows[:, None, :] * rows[[3], :, None]
        self.details = nn.Conv2d(3, 8, 8, stride=4, bias=False)
        self.details.weight.data = (kernels[:, None] / 48).repeat(1, 3, 1, 1)
        self.norm, self.head = norm, nn.Linear(8, classes)
        self.head.weight.data *= 20

    def forward(self, x):
        return self.head(self.norm(self.details(x).abs()).mean((-2, -1)))


class Thousand(nn.Module):
    """A thousand classes, a linear map of 4 x 4 means of images of any size, random weights."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(48, 1000)

    def forward(self, x):
        return 9 * self.layer(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))
