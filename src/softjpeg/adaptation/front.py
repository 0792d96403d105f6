"""A small network before a frozen one, for readers whose weights may not be touched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FRONT = "jpeg_front"
"""The child of the network that it is."""

_WIDTH = 24


class Front(nn.Module):
    """``x + gain·f(x)`` with three 3×3 convolutions f, whose output is 0 before training.

    Attributes:
        gain: 0 leaves images as they are, 1 is what was trained.

    >>> x = torch.rand(1, 3, 8, 8)
    >>> torch.equal(Front()(x), x)
    True
    """

    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, 3, 3, padding=1),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.body[-1].bias)  # type: ignore[arg-type]
        self.register_buffer("gain", torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] → about the same."""
        residual: Tensor = self.body(images)
        return images + self.gain * residual


def insert_front(network: nn.Module, front: Front) -> None:
    """Send what a network reads through `front`, its new child.

    Raises:
        ValueError: it has one already.
    """
    if has_front(network):
        raise ValueError(f"the network has a child {FRONT!r} already")
    children = dict(network.named_children())
    network.add_module(FRONT, front)
    if isinstance(network, nn.Sequential):
        # It runs its children in their order: the front comes first.
        for name, child in children.items():
            delattr(network, name)
            network.add_module(name, child)
    else:
        network.register_forward_pre_hook(_through_front)


def remove_front(network: nn.Module) -> None:
    """The inverse of `insert_front`."""
    delattr(network, FRONT)
    hooks = network._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if hook is _through_front]:
        del hooks[key]


def has_front(network: nn.Module) -> bool:
    """Whether `insert_front` put one in."""
    return hasattr(network, FRONT)


def _through_front(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    # By name, not bound to a module: a deep copy of the network has a front of its own.
    return network.get_submodule(FRONT)(inputs[0]), *inputs[1:]
