"""`folded`: the same function, without the batch normalizations that follow a convolution."""

import copy
import weakref

import pytest
import timm
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from softjpeg.common.image_files import ImageFiles
from softjpeg.evaluation.encoders import default_jpeg
from softjpeg.evaluation.judging import judge
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.models.folded import folded, folded_on

IMAGES = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))


def trained(network: nn.Module) -> nn.Module:
    """As training leaves it: no normalization is the identity."""
    g = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.running_var is not None:
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                tensor.data.uniform_(0.2, 2, generator=g)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in network.modules())


@pytest.mark.parametrize(
    ("name", "left"),
    # Of a DenseNet every other normalization reads what several layers gave.
    [("resnet18", 0), ("mobilenetv3_small_050", 0), ("densenet121", 62), ("repvgg_a0", 17)],
)
def test_networks_of_timm(name, left):
    network = trained(timm.create_model(name, num_classes=5))
    images = torch.rand(2, 3, 64, 64)
    before = copy.deepcopy(network.state_dict())
    found = folded(network, images)
    assert found is not network
    assert norms(found) == left
    torch.testing.assert_close(found(images), network(images), rtol=1e-3, atol=1e-3)
    assert all(torch.equal(w, before[n]) for n, w in network.state_dict().items())


def test_the_gradient_of_images():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.SiLU()))
    both = []
    for reads in (network, folded(network, IMAGES)):
        images = IMAGES.clone().requires_grad_()
        reads(images).square().sum().backward()
        both.append(images.grad)
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-4)


class OnePath(nn.Module):
    """A convolution, something, its normalization."""

    def __init__(self, between) -> None:
        super().__init__()
        self.conv, self.norm, self.between = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), between

    def forward(self, images):
        return self.norm(self.between(self.conv(images)))


class Twice(OnePath):
    """The convolution gives to another layer, too."""

    def forward(self, images):
        middle = self.conv(images)
        return self.norm(middle) + middle


class Again(OnePath):
    """The normalization is called a second time."""

    def forward(self, images):
        return self.norm(super().forward(images))


class OfBatches(OnePath):
    """Normalized by each batch's own statistics."""

    def __init__(self, between) -> None:
        super().__init__(between)
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)


class Scaled(nn.BatchNorm2d):
    """A class of somebody's own, which does more."""

    def forward(self, x):
        return 2 * super().forward(x)


class OwnKind(OnePath):
    def __init__(self, between) -> None:
        super().__init__(between)
        self.norm = Scaled(4)


class Upwards(OnePath):
    def __init__(self, between) -> None:
        super().__init__(between)
        self.conv = nn.ConvTranspose2d(3, 4, 3)


@pytest.mark.parametrize("kind", [Twice, Again, OfBatches, OwnKind, Upwards])
def test_what_cannot_be_folded_is_left(kind):
    network = trained(kind(nn.Identity()))
    assert folded(network, IMAGES) is network


def test_what_comes_between_is_seen():
    assert norms(folded(trained(OnePath(nn.Identity())), IMAGES)) == 0
    for between in (nn.ReLU(), nn.ReLU(inplace=True)):
        network = trained(OnePath(between))
        assert folded(network, IMAGES) is network


@pytest.mark.parametrize("left", [OnePath(nn.ReLU(inplace=True)), Again(nn.Identity())])
def test_the_others_are_folded_where_one_cannot_be(left):
    left.conv = nn.Conv2d(4, 4, 3)
    network = trained(nn.Sequential(OnePath(nn.Identity()), left))
    found = folded(network, IMAGES)
    assert norms(found) == 1
    torch.testing.assert_close(found(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)
    assert not any(module._forward_hooks for module in found.modules())


def test_layers_that_somebody_looks_at_are_left():
    seen = []
    for hook in ("register_forward_hook", "register_forward_pre_hook"):
        network = trained(OnePath(nn.Identity()))
        getattr(network.norm, hook)(lambda *arguments: seen.append(arguments))
        assert folded(network, IMAGES) is network
    assert not network.conv._forward_hooks


def test_weights_that_are_computed_are_left():
    network = OnePath(nn.Identity())
    nn.utils.parametrizations.spectral_norm(network.conv)
    network = trained(network)
    assert folded(network, IMAGES) is network
    # The older way keeps a tensor that cannot be copied.
    network.held = network.conv.bias * 2
    assert folded(network, IMAGES) is network


class Alone(OnePath):
    """Of which no copy runs."""

    def forward(self, images):
        if self is not self.__dict__["itself"]():
            raise RuntimeError("a copy")
        return super().forward(images)


def test_a_network_whose_copy_does_not_run():
    network = trained(Alone(nn.Identity()))
    network.__dict__["itself"] = weakref.ref(network)
    assert folded(network, IMAGES) is network


def test_on_photos_of_a_folder(tmp_path):
    from PIL import Image

    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "a.png")
    network = trained(OnePath(nn.Identity()))
    found = folded_on(ImageFiles([tmp_path / "a.png"]), network)
    assert norms(found) == 0
    torch.testing.assert_close(found(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)


class Counted(nn.BatchNorm2d):
    calls = 0

    def forward(self, x):
        type(self).calls += 1
        return super().forward(x)


def test_compressed_images_are_read_without():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 3), Counted(4), nn.Flatten(), nn.LazyLinear(5)))
    images = torch.randint(0, 256, (8, 3, 16, 16)).byte()
    network(images / 255)
    Counted.calls = 0
    encoders = default_jpeg([10, 30, 50, 70, 90], "4:4:4")
    judge(network, images, encoders, batch_size=4)
    # Two batches of originals, and one image to see what can be folded.
    assert Counted.calls == 3
    networks = FrozenNetworks(network, images, batch_size=4)
    calls = Counted.calls
    answers = networks.checked(0, slice(0, 4))(images[:4] / 255)
    torch.testing.assert_close(answers, networks.outputs[0][:4], rtol=1e-4, atol=1e-4)
    assert Counted.calls == calls
