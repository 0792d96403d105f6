"""`FeatureJPEGLayer` against scipy's DCT, block by block, and `wrap` around modules."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from torch import nn

from helpers.ops import Case, ModuleTests, uniform
from softjpeg import JPEGLayer, wrap
from softjpeg.nn.feature_layer import FeatureJPEGLayer


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rounded(features, tables, levels=None, zero_dc=False):
    """Every channel's blocks through DCT, rounding and inverse; tables (rounds, C, 8, 8)."""
    features = features.double().numpy()
    height, width = features.shape[-2:]
    shown = np.empty_like(features)
    for b, image in enumerate(features):
        for c, plane in enumerate(image):
            whole = np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge")
            for y in range(0, whole.shape[0], 8):
                for x in range(0, whole.shape[1], 8):
                    z = dctn(whole[y : y + 8, x : x + 8], norm="ortho")
                    if zero_dc:
                        z[0, 0] = 0
                    for q in tables[:, c]:
                        index = np.round(z / q)
                        z = q * (index if levels is None else index.clip(-levels, levels))
                    whole[y : y + 8, x : x + 8] = idctn(z, norm="ortho")
            shown[b, c] = whole[:height, :width]
    return shown


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((16, 8), {}),
        ((9, 15), {"levels": 2}),
        ((1, 5), {}),
        ((16, 16), {"per_channel": True}),
        ((7, 8), {"per_channel": True, "rounds": 3}),
        ((16, 8), {"rounds": 2, "zero_dc": True}),
    ],
)
def test_hard_layer_rounds_every_block(size, options):
    rounds, kinds = options.get("rounds", 1), 5 if options.get("per_channel") else 1
    tables = 0.2 + random(rounds, kinds, 8, 8, seed=1).abs().double()
    layer = FeatureJPEGLayer(5, tables, quantizer="hard", **options).double()
    with torch.no_grad():
        layer.tables.copy_(tables)
    features = random(2, 5, *size).double()
    limits = {key: options[key] for key in ("levels", "zero_dc") if key in options}
    expected = rounded(features, tables.expand(rounds, 5, 8, 8).numpy(), **limits)
    np.testing.assert_allclose(layer(features).detach(), expected, atol=1e-9)


def test_one_table_serves_all_channels_unless_each_has_its_own():
    assert FeatureJPEGLayer(6).tables.numel() == 64
    layer = FeatureJPEGLayer(6, torch.full((8, 8), 3.0), per_channel=True)
    assert layer.tables.unique().tolist() == [3.0]
    layer(random(1, 6, 8, 8)).square().sum().backward()
    assert (layer.tables.grad.flatten(2).norm(dim=2) > 0).all()
    assert layer.tables.grad[0, 0].ne(layer.tables.grad[0, 1]).any()


class TestFeatureJPEGLayer(ModuleTests):
    cases = {
        "one table": Case((uniform(2, 2, 9, 8, low=-3, high=3),)),
        "a table each": Case((uniform(1, 2, 9, 8, low=-3, high=3),), {"per_channel": True}),
        "rounds": Case((uniform(2, 2, 3, 17, low=-3, high=3),), {"rounds": 2, "zero_dc": True}),
    }
    kernel_tolerance, kernel_slack = 1e-5, 8.0
    meta = False

    def module(self, **settings):
        table = torch.full((8, 8), 0.7)
        return FeatureJPEGLayer(2, table, hardness=3.0, train_hardness=True, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FeatureJPEGLayer(3)(torch.zeros(1, 4, 8, 8)), r"\(B, 3, H, W\), got \(1, 4, 8, 8"),
        (lambda: FeatureJPEGLayer(3)(torch.zeros(3, 8, 8)), r"must have shape \(B, 3, H, W\)"),
        (lambda: FeatureJPEGLayer(3, torch.ones(1, 3, 8, 8)), r"table must have .*\(1, 1, 8, 8\)"),
        (lambda: FeatureJPEGLayer(3, -torch.ones(8, 8)), "table must be positive, got -1"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# wrap


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.stage = nn.Sequential(nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1)), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.stage(self.conv1(x)).mean((-2, -1)))


MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


def test_in_front_normalization_comes_after_the_layer():
    net, layer = Net(), JPEGLayer(torch.full((8, 8), 20.0), torch.full((8, 8), 30.0))
    image = torch.rand(2, 3, 16, 16)
    mean, std = (torch.tensor(v)[None, :, None, None] for v in (MEAN, STD))
    expected = net((layer(image) - mean) / std)
    torch.testing.assert_close(wrap(net, layer, MEAN, STD)(image), expected)
    assert wrap(net, None, MEAN, STD).layer is None


@pytest.mark.parametrize("at", ["conv1", "stage.0.1", "stage.1"])
def test_after_a_module_of_any_depth(at):
    torch.manual_seed(0)
    plain = wrap(Net(), None, MEAN, STD)
    layer = FeatureJPEGLayer(4, torch.full((8, 8), 0.1), quantizer="hard")
    changed = wrap(copy.deepcopy(plain.network), layer, MEAN, STD, at=at)
    image, calls = torch.rand(2, 3, 16, 16), []
    with plain.network.get_submodule(at).register_forward_hook(
        lambda module, inputs, output: calls.append(at) or layer(output)
    ):
        expected = plain(image)
    assert calls == [at]
    torch.testing.assert_close(changed(image), expected)
    assert changed.layer is layer
    changed(image).square().sum().backward()
    assert layer.tables.grad.abs().sum() > 0


def test_state_dict_copy_and_pickle():
    image = torch.rand(1, 3, 16, 16)
    for layer, at in ((JPEGLayer(), None), (FeatureJPEGLayer(4), "stage.0.1")):
        model = wrap(Net(), layer, MEAN, STD, at=at)
        with torch.no_grad():
            layer.tables.mul_(3)
        expected = model(image)
        fresh = wrap(Net(), type(layer)(*([4] if at else [])), MEAN, STD, at=at)
        fresh.load_state_dict(model.state_dict())
        for other in (fresh, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(other(image), expected)
            assert other.layer is not layer
        assert not {"mean", "std"} & set(model.state_dict())


def test_a_module_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="no module 'conv2'; its modules are conv1, stage, "):
        wrap(Net(), FeatureJPEGLayer(4), MEAN, STD, at="conv2")
    with pytest.raises(ValueError, match="layer must be given to stand at 'conv1', got None"):
        wrap(Net(), None, MEAN, STD, at="conv1")
