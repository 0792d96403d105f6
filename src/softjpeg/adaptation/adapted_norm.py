"""Normalization layers whose weights are each image's own: a batch of files of any strengths."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

Weights = Mapping[str, Tensor]


class Strengths:
    """What the adapted layers of a network read: the strength of each image of the batch.

    Attributes:
        values: (B,).
    """

    values: Tensor


class AdaptedNorm(nn.Module):
    """A normalization layer with the weights ``base + t·(adapted - base)``, t of each image.

    Args:
        norm: of any class.
        base, adapted: its changed tensors, by its own names for them.
        strengths: t.

    >>> strengths, ones = Strengths(), torch.ones(4)
    >>> norm = AdaptedNorm(nn.LayerNorm(4), {"weight": ones}, {"weight": 3 * ones}, strengths)
    >>> strengths.values = torch.tensor([0.0, 0.5])
    >>> x = torch.tensor([[-1.0, 1.0, -1.0, 1.0]] * 2)
    >>> norm(x).round(decimals=2).tolist()
    [[-1.0, 1.0, -1.0, 1.0], [-2.0, 2.0, -2.0, 2.0]]
    """

    def __init__(
        self, norm: nn.Module, base: Weights, adapted: Weights, strengths: Strengths
    ) -> None:
        super().__init__()
        self.norm, self.base, self.adapted, self.strengths = norm, base, adapted, strengths

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) → (B, ...)."""
        strengths = self.strengths.values
        if len(x) != len(strengths):
            raise ValueError(
                f"strengths of {len(strengths)} images cannot be mixed: a normalization layer of "
                f"the network reads them as {len(x)}"
            )

        def mixed(name: str, weight: Tensor) -> Tensor:
            share = strengths.to(weight).view(-1, *(1 for _ in weight.shape))
            return torch.lerp(weight[None], self.adapted[name][None], share).to(x.device)

        def one(weights: dict[str, Tensor], image: Tensor) -> Tensor:
            output: Tensor = functional_call(self.norm, weights, (image[None],))
            return output[0]

        weights = {name: mixed(name, weight) for name, weight in self.base.items()}
        outputs: Tensor = vmap(one)(weights, x)
        return outputs


def with_adapted_norms(
    network: nn.Module, base: Weights, adapted: Weights, strengths: Strengths
) -> nn.Module:
    """The same network, its tensors shared, with `AdaptedNorm` where tensors are adapted.

    Args:
        network: stays as it is.
        base, adapted: tensors of normalization layers by their names in the network.
        strengths: that all adapted layers read.
    """
    tensors = chain(network.parameters(), network.buffers())
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    # Below another module, so that the network itself may be such a layer.
    root = nn.ModuleDict({"network": twin})
    paths: dict[str, list[str]] = {}
    for name in base:
        paths.setdefault(name.rpartition(".")[0], []).append(name)
    for path, names in paths.items():
        place = f"network.{path}" if path else "network"
        first, last = (
            {name.rpartition(".")[2]: part[name] for name in names} for part in (base, adapted)
        )
        norm = AdaptedNorm(root.get_submodule(place), first, last, strengths)
        root.set_submodule(place, norm)
    return root["network"]
