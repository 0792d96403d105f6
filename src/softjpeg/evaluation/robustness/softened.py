"""PGD past a steep quantizer: softened in the backward pass, exact in the forward pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from softjpeg.evaluation.robustness.attacks import pgd, soft_layers
from softjpeg.functional.straight_through import straight_through
from softjpeg.nn.table_quantizer import TableQuantizer


def softened(
    model: nn.Module, x: Tensor, y: Tensor, eps: float, *, hardness: float = 1.0, **options: Any
) -> Tensor:
    """PGD whose gradient is that of the same JPEG layers with edges no steeper than a hardness.

    At h = αq² of 1 the soft quantizer is nearly a line: its gradient says where the coefficients
    go, while the network still sees what its own layer shows. Unlike `bpda`'s straight-through
    gradient it knows the bound.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits; without JPEG layers it is plain PGD.
        x, y: images and labels, on the model's device.
        eps: largest change of a pixel, 0..1.
        hardness: the largest h in the backward pass, above 0.
        options: of `pgd`.

    Raises:
        ValueError: `hardness` is not above 0, or what `pgd` raises.

    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> softened(network, torch.full((2, 3, 8, 8), 0.5), torch.tensor([0, 3]), 2 / 255).shape
    torch.Size([2, 3, 8, 8])
    """
    if not hardness > 0:
        raise ValueError(f"hardness must be above 0, got {hardness}")
    with ExitStack() as hooks:
        for layer in soft_layers(model):
            hook = _with_gradient_of(_softer(layer, hardness))
            hooks.enter_context(layer.register_forward_hook(hook))
        return pgd(model, x, y, eps, **options)


@torch.no_grad()
def _softer(layer: TableQuantizer, hardness: float) -> TableQuantizer:
    twin = copy.deepcopy(layer)
    log_hardness = layer.hardness().clamp(max=hardness).log()
    twin.alpha = None
    twin.log_hardness.copy_(log_hardness)
    return twin.requires_grad_(False)


def _with_gradient_of(twin: nn.Module) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
    def hook(_layer: nn.Module, inputs: tuple[Tensor], shown: Tensor) -> Tensor:
        return straight_through(shown, twin(inputs[0]))

    return hook
