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
