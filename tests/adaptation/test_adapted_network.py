"""One batch of files of any strengths is what the files are one by one."""

import copy

import pytest
import timm
import torch
from torch import nn

from helpers.images import noise
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter, read_strength, weights_fingerprint
from softjpeg.adaptation.front import Front
from softjpeg.adaptation.strength import StrengthCurve
from softjpeg.adaptation.trained_weights import trained_names
from softjpeg.codec.image import decode, encode
from softjpeg.models.preprocessing import Preprocessed, Preprocessing
from softjpeg.presets.preset import Preset

CURVE = StrengthCurve(((3.0, 0.25), (6.0, 1.0)))


def norms():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.GroupNorm(2, 8),
        nn.Flatten(),
        nn.LazyLinear(10),
        nn.LayerNorm(10),
        nn.RMSNorm(10),
        nn.Linear(10, 5),
    )


def vit():
    return timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=16, patch_size=8, depth=2, num_classes=5
    )


def made(make, train, seed=0):
    torch.manual_seed(seed)
    network = make().eval()
    network(torch.zeros(1, 3, 16, 16))
    if train == "front":
        front = {f"jpeg_front.{n}": torch.randn(w.shape) for n, w in Front().state_dict().items()}
        base = {**front, "jpeg_front.gain": torch.zeros(1)}
        adapted = {**front, "jpeg_front.gain": torch.ones(1)}
    else:
        state = network.state_dict()
        base = {name: state[name].clone() for name in trained_names(network, train)}
        adapted = {name: w + torch.rand(w.shape) / 4 for name, w in base.items()}
    return network, Adapter(train, base, adapted, weights_fingerprint(network), CURVE)


@pytest.mark.parametrize(
    ("make", "train"),
    [(norms, "norm"), (vit, "norm"), (norms, "statistics"), (norms, "all"), (vit, "front")],
)
def test_a_mixed_batch_is_its_images_one_by_one(make, train):
    network, adapter = made(make, train)
    before = copy.deepcopy(network.state_dict())
    both, x = AdaptedNetwork(network, adapter), noise(6, 16) / 255
    strengths = torch.tensor([0.3, 0.0, 1.0, 0.3, 0.7, 0.0])
    with torch.no_grad():
        mixed = both(x, strengths)
        for i, strength in enumerate(strengths.tolist()):
            alone = copy.deepcopy(network)
            adapter.apply(alone, strength)
            assert torch.allclose(mixed[i], alone(x[i : i + 1])[0], atol=1e-5)
        frozen = strengths == 0
        assert torch.equal(mixed[frozen], network(x[frozen]))
        assert torch.equal(both(x), network(x))
        assert not torch.allclose(mixed[2], network(x)[2], atol=1e-2)
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    with pytest.raises(ValueError, match="strengths must be 6, one an image, got 5"):
        both(x, strengths[:5])


def test_files_are_read_at_the_strength_of_their_tables():
    network, adapter = made(norms, "norm")
    reader = Preprocessed(network, Preprocessing(18, crop=(16, 16)))
    both = AdaptedNetwork(reader, adapter)
    images = [noise(1, side)[0] for side in (24, 30, 24, 24)]
    files = [
        encode(image, Preset.from_quality(quality))
        for image, quality in zip(images, (10, 60, 95, 10), strict=True)
    ]
    files[3] = b"of another format"
    shown = [*map(decode, files[:3]), images[3]]
    found = both.outputs_of_files(shown, files, batch_size=2)
    steps = [read_strength(data, adapter) for data in files]
    assert steps[0] > steps[1] > steps[2] > steps[3] == 0
    with torch.no_grad():
        for i, strength in enumerate(steps):
            alone = copy.deepcopy(reader)
            adapter.apply(alone, strength)
            assert torch.allclose(found[i], alone(shown[i][None] / 255)[0], atol=1e-5)


def test_of_another_network():
    _, adapter = made(norms, "norm")
    other, _ = made(norms, "norm", seed=1)
    with pytest.raises(ValueError, match="belongs to another network"):
        AdaptedNetwork(other, adapter)
