"""How the weights of the CIFAR networks start."""

from __future__ import annotations

from torch import nn


def initialize(network: nn.Module, classifier_std: float | None = None) -> None:
    """Draw a network's weights anew, in place.

    Convolutions: N(0, 2 / (k² · output channels)) and no bias (He et al. 2015, eq. 14).

    Args:
        network: batch norms keep their weight 1 and bias 0.
        classifier_std: linear layers get N(0, std²) and no bias; None: PyTorch's own.

    >>> conv = nn.Conv2d(64, 64, 3)
    >>> initialize(conv)
    >>> abs(conv.weight.var().item() * 9 * 64 - 2) < 0.1, conv.bias.abs().max().item()
    (True, 0.0)
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and classifier_std is not None:
            nn.init.normal_(module.weight, std=classifier_std)
            nn.init.zeros_(module.bias)
