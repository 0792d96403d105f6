"""A network with its adapter as one graph, whose second input is the strength."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from softjpeg.adaptation.adapter import Adapter, network_of
from softjpeg.models.inference import device_of


class StrengthInput(nn.Module):
    """For `torch.compile` and ONNX: no branch and no number depends on what is read.

    Args:
        reader: the network, as it was when the adapter was made; copied, without the preprocessing
            before it.
        adapter: of that network.

    Raises:
        ValueError: the adapter belongs to another network.

    >>> from softjpeg.adaptation.adapter import weights_fingerprint
    >>> from softjpeg.adaptation.strength import StrengthCurve
    >>> layer, zeros, ones = nn.LayerNorm(2), torch.zeros(2), torch.ones(2)
    >>> base, adapted = {"bias": zeros}, {"bias": ones}
    >>> curve = StrengthCurve(((4.0, 1.0),))
    >>> adapter = Adapter("norm", base, adapted, weights_fingerprint(layer), curve)
    >>> network = StrengthInput(layer, adapter)
    >>> network(torch.tensor([[-1.0, 1.0]]), torch.tensor([0.5])).round(decimals=2).tolist()
    [[-0.5, 1.5]]
    """

    def __init__(self, reader: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        adapter.check(reader)
        self.network = copy.deepcopy(network_of(reader)).eval()
        adapter.insert(self.network)
        device = device_of(self.network)
        self.base = {name: weight.to(device) for name, weight in adapter.base.items()}
        self.adapted = {name: weight.to(device) for name, weight in adapter.adapted.items()}

    def forward(self, images: Tensor, strength: Tensor) -> Tensor:
        """The network's output.

        Args:
            images: (B, 3, H, W) as the network reads them.
            strength: (1,) from 0 to 1, of all of them.

        Returns:
            (B, ...).
        """
        weights = {n: torch.lerp(w, self.adapted[n], strength) for n, w in self.base.items()}
        output: Tensor = functional_call(self.network, weights, (images,))
        return output
