"""A network that reads details: an adapter wins back what JPEG takes of them."""

NETWORK = """
import torch
from torch import nn

class Reader(nn.Module):
    input_size, resize, interpolation = 32, 36, "bilinear"

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        n = torch.arange(8.0)
        rows = torch.stack([torch.cos((2 * n + 1) * k * torch.pi / 16) for k in range(8)])
        self.details = nn.Conv2d(3, 8, 8, stride=4, bias=False)
        kernels = rows[:, None, :] * rows[[3], :, None]
        self.details.weight.data = (kernels[:, None] / 48).repeat(1, 3, 1, 1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 6)
        self.norm.running_var.fill_(1e-3)
        self.head.weight.data *= 20

    def forward(self, x):
        return self.head(self.norm(self.details(x).abs()).mean((-2, -1)))

def small():
    return Reader()

def other():
    net = Reader()
    net.head.bias.data += 1
    return net
"""
