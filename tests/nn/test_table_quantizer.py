"""What the JPEG layer keeps for its backward pass.

Fused, the image; as pure functions, the coefficients, and no window axis.
"""

import pytest
import torch

from softjpeg import JPEGLayer
from softjpeg.functional import pure_functions
from softjpeg.kernels.library import is_available
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.table_quantizer import TableQuantizer


def kept(layer, x):
    """Storages saved by the forward pass and the largest saved tensor's number of elements."""
    storages, largest = {}, 0

    def pack(tensor):
        nonlocal largest
        largest = max(largest, tensor.numel())
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(x)
    y.sum().backward()
    return sum(storages.values()), largest


@pytest.mark.parametrize("image_gradient", [False, True])
@pytest.mark.parametrize("options", [{"window": 5, "levels": 127}, {"window": 9}, {}])
def test_one_copy_of_the_coefficients(options, image_gradient):
    x = torch.rand(2, 3, 64, 64, requires_grad=image_gradient)
    layer = JPEGLayer(torch.full((8, 8), 4.0), hardness=3.0, train_hardness=True, **options)
    with pure_functions():
        total, largest = kept(layer, x)
    # The coefficients once, plus what does not grow with the image: tables and the 64x64 basis.
    assert total <= x.nbytes + 64 * 64 * 4 + 40 * layer.tables.nbytes
    assert x.nbytes <= total
    assert largest <= x[:, 0].numel()


@pytest.mark.parametrize("rounds", [1, 3])
def test_one_copy_for_each_round(rounds):
    x = torch.rand(1, 6, 64, 64)
    layer = FeatureJPEGLayer(6, torch.full((8, 8), 0.1), rounds=rounds, per_channel=True, window=5)
    with pure_functions():
        total, largest = kept(layer, x)
    assert total <= rounds * (x.nbytes + 40 * layer.tables[0].nbytes) + 64 * 64 * 4
    assert largest <= x.numel()


def test_a_subsampled_layer_keeps_half_an_image():
    x = torch.rand(1, 3, 64, 64)
    with pure_functions():
        total, _ = kept(JPEGLayer(hardness=3.0, subsampling="4:2:0"), x)
    assert total <= x.nbytes / 2 + 64 * 64 * 4 + 4096 * 4


@pytest.mark.skipif(not is_available("_layer"), reason="the C kernels were not built")
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("rounds", [1, 3])
def test_fused_it_keeps_the_image_alone(subsampling, rounds):
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    layer = JPEGLayer(subsampling=subsampling, rounds=rounds, train_hardness=True)
    total, largest = kept(layer, x)
    assert x.nbytes <= total <= x.nbytes + 40 * layer.tables.nbytes
    assert largest == x.numel()


@pytest.mark.parametrize("trains", [True, False])
def test_which_parameters_train(trains):
    quantizer = TableQuantizer(
        torch.full((1, 2, 8, 8), 8.0), train_tables=trains, train_hardness=not trains
    )
    assert quantizer.tables.requires_grad == trains
    assert quantizer.log_hardness.requires_grad == (not trains)
    names = [name for name, p in quantizer.named_parameters() if p.requires_grad]
    assert names == (["tables"] if trains else ["log_hardness"])
