import pytest
import timm
import torch
from torch import nn

from softjpeg.adaptation.front import Front, insert_front
from softjpeg.adaptation.trained_weights import batch_norms, trained_names


def test_weights_of_every_kind_of_normalization_and_no_others():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.GroupNorm(2, 8),
        nn.BatchNorm2d(8, affine=False),
        nn.Flatten(),
        nn.Linear(8, 4),
        nn.LayerNorm(4),
        nn.RMSNorm(4),
    )
    expected = ["1.weight", "1.bias", "2.weight", "2.bias", "6.weight", "6.bias", "7.weight"]
    assert trained_names(network, "norm") == expected
    assert trained_names(network, "first") == ["0.weight", "0.bias", *expected]
    assert trained_names(network, "all") == [name for name, _ in network.named_parameters()]
    statistics = ["1.running_mean", "1.running_var", "3.running_mean", "3.running_var"]
    assert trained_names(network, "statistics") == statistics
    assert batch_norms(network) == [network[1], network[3]]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "tf_efficientnet_lite0", "convnext_atto"])
def test_timm_networks(name):
    network = timm.create_model(name, pretrained=False)
    names = trained_names(network, "norm")
    weights = dict(network.named_parameters())
    # Those that timm excludes from weight decay for being one-dimensional, less biases of layers.
    assert names
    assert all(weights[each].ndim == 1 for each in names)
    assert all("norm" in each or "bn" in each or "stem.1" in each or "downsample.0" in each
               for each in names)  # fmt: skip
    first = trained_names(network, "first")
    assert {*names} < {*first}
    assert all(("patch_embed" in n) or ("stem" in n) for n in {*first} - {*names})


def test_a_front_alone():
    network = nn.Sequential(nn.Conv2d(3, 8, 3))
    insert_front(network, Front())
    names = trained_names(network, "front")
    assert len(names) == 6
    assert all(name.startswith("jpeg_front.body") for name in names)


def test_nothing_to_train():
    network = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="'norm' needs normalization with weights, but the netw"):
        trained_names(network, "norm")
    with pytest.raises(ValueError, match="'statistics' needs batch normalization"):
        trained_names(network, "statistics")
    with pytest.raises(ValueError, match=r"train must be one of norm, .*, got 'last'"):
        trained_names(network, "last")
    with pytest.raises(ValueError, match="'front' needs weights"):
        trained_names(torch.nn.ReLU(), "front")
