"""`softjpeg.adapt` from images to an adapter that helps on other images."""

import copy

import pytest
import timm
import torch
from torch import nn

import softjpeg
from helpers.images import photos
from helpers.networks import texture_reader
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.judging import NoGainError
from softjpeg.learning.losses import cosine_loss, kl_loss
from softjpeg.models.preprocessing import Preprocessed, Preprocessing
from softjpeg.presets.preset import Preset

RUN = {"qualities": (10, 50), "epochs": 8, "learning_rate": 0.05, "batch_size": 8}


NORMS = {
    "batch": lambda: nn.BatchNorm2d(8),
    "group": lambda: nn.GroupNorm(1, 8),
    "layer": lambda: nn.LayerNorm([8, 7, 7]),
}


def losses(network, adapter, images, quality, loss=kl_loss):
    """Frozen, and adapted by the files' tables, on new images."""
    files = [softjpeg.encode(image, Preset.from_quality(quality)) for image in images]
    shown = [softjpeg.decode(data) for data in files]
    with torch.no_grad():
        target, frozen = network(images / 255), network(torch.stack(shown) / 255)
        adapted = AdaptedNetwork(network, adapter).outputs_of_files(shown, files)
        return float(loss(frozen, target)), float(loss(adapted, target))


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_new_images_are_read_better(norm):
    images = photos(64, 32)
    network = texture_reader(norm(), images)
    before = copy.deepcopy(network.state_dict())
    adapter = softjpeg.adapt(network, images, **RUN)
    assert sorted(adapter.base) == ["norm.bias", "norm.weight"]
    frozen, adapted = losses(network, adapter, photos(32, 32, seed=7), 15)
    assert adapted < 0.8 * frozen
    after = network.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    facts = adapter.provenance
    assert (facts["images"], facts["trained_on"], facts["judged_on"]) == (64, 48, 16)
    assert facts["files"] == "default JPEG, qualities 10 to 50"


@pytest.mark.parametrize("train", ["statistics", "first", "all", "front"])
def test_whatever_is_trained(train):
    images = photos(64, 32)
    network = texture_reader(nn.BatchNorm2d(8), images)
    rates = {"first": 3e-4, "all": 3e-4, "front": 0.01}
    run = {**RUN, "learning_rate": rates.get(train, 1.0)}
    adapter = softjpeg.adapt(network, images, train=train, **run)
    frozen, adapted = losses(network, adapter, photos(32, 32, seed=7), 15)
    assert adapted < frozen


def test_a_run_depends_on_its_seed_alone(tmp_path):
    images = photos(40, 32)
    network = texture_reader(nn.BatchNorm2d(8), images)
    run = {**RUN, "provenance": {"network": "mine"}}
    first, again = (softjpeg.adapt(network, images, **run).to_bytes() for _ in range(2))
    with_file = softjpeg.adapt(network, images, checkpoint=tmp_path / "c.safetensors", **run)
    assert first == again == with_file.to_bytes()
    assert with_file.provenance["network"] == "mine"
    assert softjpeg.adapt(network, images, seed=1, **run).to_bytes() != first


def test_photos_at_their_own_sizes_through_the_networks_preprocessing():
    images = [*photos(24, 40), *photos(24, 48, seed=1)]
    network = texture_reader(nn.BatchNorm2d(8), photos(24, 32))
    reader = Preprocessed(network, Preprocessing(36, crop=(32, 32), interpolation="bilinear"))
    adapter = softjpeg.adapt(reader, images, **RUN)
    adapter.check(network)
    assert adapter.provenance["gain"][0] > 0.1


def test_an_embedding_by_its_cosine_and_a_vit():
    torch.manual_seed(0)
    small = {"img_size": 32, "patch_size": 8, "depth": 1, "num_classes": 0}
    small |= {"class_token": False, "global_pool": "avg"}
    network = timm.create_model("vit_tiny_patch16_224", pretrained=False, **small).eval()
    run = {**RUN, "qualities": (5, 15), "learning_rate": 0.03}
    adapter = softjpeg.adapt(network, photos(80, 32), loss=cosine_loss, **run)
    assert adapter.provenance["loss"] == "cosine_loss"
    frozen, adapted = losses(network, adapter, photos(32, 32, seed=7), 8, cosine_loss)
    assert adapted < frozen


def test_few_images_are_gone_through_more_often():
    run = {name: value for name, value in RUN.items() if name != "epochs"}
    for count, batch_size, epochs in ((24, 8, 26), (48, 8, 16), (48, 32, 38)):
        images = photos(count, 32)
        network = texture_reader(nn.BatchNorm2d(8), images)
        run["batch_size"] = batch_size
        adapter = softjpeg.adapt(network, images, **run)
        # Three of four train: 3, 5 and 2 steps an epoch.
        assert adapter.provenance["epochs"] == epochs


def test_one_preset():
    images = photos(48, 32)
    network = texture_reader(nn.BatchNorm2d(8), images)
    preset = Preset.from_quality(12, "4:4:4")
    adapter = softjpeg.adapt(network, images, preset=preset, **RUN)
    assert len(adapter.strength.points) == 1
    assert adapter.provenance["files"] == "one preset"
    assert softjpeg.read_strength([preset.luma], adapter) > 0.4


def test_labels_are_the_targets_where_they_are_given():
    images = photos(64, 32)
    network = texture_reader(nn.BatchNorm2d(8), images)
    with torch.no_grad():
        labels = network(images / 255).argmax(-1)
    # Some are not what the network says.
    labels[::5] = (labels[::5] + 1) % labels.max()
    adapter = softjpeg.adapt(network, images, labels=labels, **RUN)
    assert adapter.provenance["loss"] == "cross-entropy"
    own = slice(3, None, 4)
    for figure in adapter.provenance["figures"]:
        preset = Preset.from_quality(figure["quality"])
        files = [softjpeg.encode(image, preset) for image in images[own]]
        shown = torch.stack([softjpeg.decode(data) for data in files]) / 255
        for strength, found in ((0.0, "frozen"), (1.0, "full")):
            adapter.apply(network, strength)
            with torch.no_grad():
                expected = float(nn.functional.cross_entropy(network(shown), labels[own]))
            adapter.remove(network)
            assert figure[found] == pytest.approx(expected, rel=1e-3)


def test_nothing_to_gain():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(5)

        def forward(self, x):
            return self.norm(x.flatten(1)[:, :5] * 0 + torch.arange(5.0))

    with pytest.raises(NoGainError, match="nothing beat the frozen network beyond chance"):
        softjpeg.adapt(Constant(), photos(16, 16), **{**RUN, "learning_rate": 1e-9})
    with pytest.raises(ValueError, match="max_clean_drop must be at least 0, got -1"):
        softjpeg.adapt(Constant(), photos(16, 16), max_clean_drop=-1)
