import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from softjpeg.adaptation.adapter import Adapter, read_strength, weights_fingerprint
from softjpeg.adaptation.front import Front
from softjpeg.adaptation.strength import StrengthCurve
from softjpeg.codec.image import encode
from softjpeg.models.preprocessing import Preprocessed, Preprocessing
from softjpeg.presets.preset import Preset

CURVE = StrengthCurve(((2.0, 0.25), (6.0, 1.0)))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).eval()


def adapter(net, seed=1):
    torch.manual_seed(seed)
    base = {name: net.state_dict()[name].clone() for name in ("1.weight", "1.bias")}
    adapted = {name: weight + torch.randn(4) / 3 for name, weight in base.items()}
    facts = {"images": 7, "figures": [{"quality": 6}]}
    return Adapter("norm", base, adapted, weights_fingerprint(net), CURVE, 0.5, facts)


def bits(net):
    return {name: weight.numpy().tobytes() for name, weight in net.state_dict().items()}


@pytest.mark.parametrize("strength", [0.3, 1.0, None])
@pytest.mark.parametrize("around", [lambda net: net, lambda n: Preprocessed(n, Preprocessing(8))])
def test_in_and_out_again_exactly(strength, around):
    net = network()
    before, mine = bits(net), adapter(net)
    mine.apply(around(net), strength)
    share = 0.5 if strength is None else strength
    for name, weight in mine.base.items():
        expected = weight.double() + share * (mine.adapted[name].double() - weight.double())
        assert torch.allclose(net.state_dict()[name].double(), expected, atol=1e-7)
    if strength == 1:
        assert torch.equal(net[1].weight, mine.adapted["1.weight"])
    assert bits(net) != before
    mine.remove(around(net))
    assert bits(net) == before


def test_a_front_in_and_out_again_exactly():
    net, x = network(), torch.rand(2, 3, 9, 9)
    before, plain = bits(net), net(x)
    front = {f"jpeg_front.{n}": torch.randn_like(w) for n, w in Front().state_dict().items()}
    base = {**front, "jpeg_front.gain": torch.zeros(1)}
    adapted = {**front, "jpeg_front.gain": torch.ones(1)}
    mine = Adapter("front", base, adapted, weights_fingerprint(net), CURVE)
    mine.apply(net, 0.5)
    half = net(x)
    mine.apply(net, 1.0)
    assert not torch.allclose(net(x), half)
    mine.apply(net, 0.0)
    assert torch.equal(net(x), plain)
    mine.remove(net)
    assert bits(net) == before
    assert torch.equal(net(x), plain)


def test_another_network_is_refused_and_left_as_it_is():
    net = network()
    mine, other = adapter(net), network()
    other[0].weight.data[0, 0, 0, 0] += 1e-6
    before = bits(other)
    for refused in (mine.apply, mine.check):
        with pytest.raises(ValueError, match="belongs to another network: the weights differ"):
            refused(other)
    with pytest.raises(ValueError, match="not in this network: other weights differ"):
        mine.remove(other)
    with pytest.raises(ValueError, match="not in this network: a weight of it is missing"):
        mine.remove(nn.ReLU())
    assert bits(other) == before
    with pytest.raises(ValueError, match=r"strength must be from 0 to 1, got 1\.5"):
        mine.apply(net, 1.5)
    mine.apply(net)
    with pytest.raises(ValueError, match="belongs to another network"):
        mine.apply(net)


def test_a_file_holds_all_of_it(tmp_path):
    mine = adapter(network())
    mine.save(tmp_path / "a.safetensors")
    loaded = Adapter.load(tmp_path / "a.safetensors")
    assert loaded.to_bytes() == mine.to_bytes() == (tmp_path / "a.safetensors").read_bytes()
    assert (loaded.train, loaded.strength, loaded.fixed_strength) == ("norm", CURVE, 0.5)
    assert loaded.provenance == mine.provenance
    assert loaded.fingerprint == mine.fingerprint
    for part in ("base", "adapted"):
        for name, weight in getattr(mine, part).items():
            assert torch.equal(getattr(loaded, part)[name], weight)


def test_files_that_are_no_adapter(tmp_path):
    def refusal(name):
        with pytest.raises(ValueError, match=name) as caught:
            Adapter.load(tmp_path / name)
        return str(caught.value)

    assert "does not exist" in refusal("a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    assert "is not an adapter: " in refusal("b.safetensors")
    save_file({"w": torch.ones(1)}, tmp_path / "c.safetensors")
    assert "is not an adapter: it has no 'softjpeg'" in refusal("c.safetensors")
    whole = adapter(network()).to_bytes()
    (tmp_path / "d.safetensors").write_bytes(whole[:-4])
    assert "is not an adapter" in refusal("d.safetensors")
    (tmp_path / "e.safetensors").write_bytes(whole.replace(b'version\\": 1', b'version\\": 9'))
    assert "its format is softjpeg-adapter 9" in refusal("e.safetensors")


def test_fields_that_do_not_belong_together():
    mine = adapter(network())
    with pytest.raises(ValueError, match="same names"):
        replace(mine, base={})
    with pytest.raises(ValueError, match=r"1\.bias is of two"):
        replace(mine, adapted={**mine.adapted, "1.bias": torch.ones(5)})
    with pytest.raises(ValueError, match="train must be one of"):
        replace(mine, train="last")
    with pytest.raises(ValueError, match="fixed_strength must be from 0 to 1, got 2"):
        replace(mine, fixed_strength=2)


def test_strength_of_files():
    mine, image = adapter(network()), torch.zeros(3, 16, 16, dtype=torch.uint8)
    for step, strength in ((4, 0.25), (16, 0.625), (64, 1), (255, 1), (2, 0.125), (1, 0)):
        data = encode(image, Preset(np.full((8, 8), step), np.full((8, 8), 9)))
        assert read_strength(data, mine) == pytest.approx(strength)
    assert read_strength(b"\x89PNG", mine) == 0


def test_a_copy_has_the_fingerprint_and_nothing_else_has():
    net = network()
    assert weights_fingerprint(copy.deepcopy(net)) == weights_fingerprint(net)
    channels_last = copy.deepcopy(net).to(memory_format=torch.channels_last)
    assert weights_fingerprint(channels_last) == weights_fingerprint(net)
    net[1].running_mean += 1
    assert weights_fingerprint(net) != weights_fingerprint(channels_last)
