import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from softjpeg.adaptation.adapted_norm import Strengths, with_adapted_norms

NORMS = {
    "batch": lambda: nn.BatchNorm2d(6),
    "batch and activation": lambda: BatchNormAct2d(6),
    "group": lambda: nn.GroupNorm(3, 6),
    "layer": lambda: nn.LayerNorm([6, 5, 5]),
    "rms": lambda: nn.RMSNorm([6, 5, 5]),
}


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
@pytest.mark.parametrize("around", [lambda norm: norm, lambda norm: nn.Sequential(norm, nn.ReLU())])
def test_each_image_has_its_own_weights(norm, around):
    torch.manual_seed(0)
    network, x = around(norm()).eval(), torch.randn(4, 6, 5, 5)
    base = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    adapted = {name: weight + torch.randn(weight.shape) for name, weight in base.items()}
    strengths = Strengths()
    mixing = with_adapted_norms(network, base, adapted, strengths)
    strengths.values = torch.tensor([0.0, 0.2, 1.0, 0.6])
    mixed = mixing(x)
    for i, strength in enumerate(strengths.values):
        alone = copy.deepcopy(network)
        with torch.no_grad():
            for name, weight in alone.named_parameters():
                weight.copy_(base[name] + strength * (adapted[name] - base[name]))
        assert torch.allclose(mixed[i], alone(x[i : i + 1])[0], atol=1e-6)
    # Tensors are shared, and the network is as it was.
    assert {id(w) for w in network.parameters()} == {id(w) for w in mixing.parameters()}
    assert all(torch.equal(w, base[name]) for name, w in network.named_parameters())


def test_a_layer_that_reads_other_images_than_the_network():
    network = nn.Sequential(nn.Flatten(0, 1), nn.LayerNorm(4))
    weights = {"1.weight": torch.ones(4)}
    strengths = Strengths()
    mixing = with_adapted_norms(network, weights, weights, strengths)
    strengths.values = torch.rand(2)
    with pytest.raises(ValueError, match=r"of 2 images cannot be mixed: .* reads them as 6"):
        mixing(torch.rand(2, 3, 4))
