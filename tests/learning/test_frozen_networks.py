"""One or several networks: what each loses counts, and the one that fails is named."""

import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader, linear_reader
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.learn import learn
from softjpeg.learning.losses import cosine_loss, mse_loss
from softjpeg.learning.sensitivity import sensitivity
from softjpeg.models.fidelity import kl
from softjpeg.models.preprocessing import Preprocessed, Preprocessing

OPTIONS = {"subsampling": "4:4:4", "batch_size": 4}


class VerticalReader(HighFrequencyReader):
    """The same for the finest vertical detail, with answers a hundred times as steep."""

    def __init__(self):
        super().__init__()
        self.kernel = self.kernel.mT.contiguous()

    def forward(self, x):
        return 3 * super().forward(x)


def test_two_networks_both_get_what_they_read():
    pair, x = [HighFrequencyReader(), VerticalReader()], images(24, 16)
    said = []
    both = learn(pair, x, target_bpp=17.0, say=said.append, **OPTIONS)
    alone = learn(pair[0], x, target_bpp=17.0, **OPTIONS)
    worst = learn(pair, x, target_bpp=17.0, worst_case=True, **OPTIONS)
    # Each reads one frequency; beside it, along the other axis, nothing matters.
    assert both.luma[0, 6] < both.luma[1, 1]
    assert both.luma[6, 0] < both.luma[1, 1]
    assert alone.luma[6, 0] > alone.luma[0, 6]
    for preset, how in ((both, "average"), (worst, "worst case")):
        learned = preset.provenance["learned"]
        assert (learned["networks"], learned["judged_by"]) == (2, how)
        for loss, default in learned["judged"]["networks"]:
            assert loss < default
    # The second network's loss is larger, but not its weight.
    losses = both.provenance["learned"]["judged"]["networks"]
    assert losses[1][1] > 2 * losses[0][1]


class Failing(HighFrequencyReader):
    """Answers NaN from the n-th batch on."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def forward(self, x):
        self.left -= 1
        return super().forward(x) * (1 if self.left >= 0 else float("nan"))


def test_a_checkpoint_is_of_one_preprocessing():
    images, network = [torch.zeros(3, 24, 20, dtype=torch.uint8)] * 2, nn.Flatten()

    def digest(resize):
        reader = Preprocessed(network, Preprocessing(resize, crop=(8, 8)))
        return FrozenNetworks(reader, images).digest

    assert digest(9) == digest(9)
    assert digest(9) != digest(12)
    assert digest(9) != FrozenNetworks(Preprocessed(network, Preprocessing(8)), images[:1]).digest


def test_photos_are_not_held_all_at_once_for_a_checkpoint():
    held = weakref.WeakSet()

    class Photos(Sequence):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if isinstance(index, slice):
                return [self[i] for i in range(6)[index]]
            if index >= 6:
                raise IndexError
            photo = torch.full((3, 8, 8), index, dtype=torch.uint8)
            held.add(photo)
            most.append(len(held))
            return photo

    most = []
    networks = FrozenNetworks(nn.Flatten(), Photos())
    most.clear()
    assert networks.digest
    assert max(most) <= 2


def test_every_image_to_learn_from_has_its_label():
    images, labels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, -1])
    with pytest.raises(ValueError, match=r"labels must be given for every image .* got -1"):
        FrozenNetworks(nn.Flatten(), images, labels)


def test_a_network_that_fails_on_the_way_is_named():
    x = images(16, 16)
    with pytest.raises(ValueError, match="output is not finite on compressed images 0 to 1"):
        learn(Failing(8), x, target_bpp=17.0, **OPTIONS)
    pair = [HighFrequencyReader(), Failing(14)]
    with pytest.raises(ValueError, match=r"^network 2 of 2: the network's output is not finite"):
        learn(pair, x, target_bpp=17.0, **OPTIONS)
    with pytest.raises(ValueError, match=r"^network 2 of 2: .* uncompressed images is not finite"):
        learn([pair[0], Failing(0)], x, target_bpp=17.0, **OPTIONS)

    def infinite(outputs, targets):
        return (outputs - targets).square().mean() + float("inf")

    with pytest.raises(ValueError, match="the loss is inf on compressed images 8 to 9"):
        learn(HighFrequencyReader(), x, loss=infinite, target_bpp=17.0, **OPTIONS)

    class Stepped(HighFrequencyReader):
        def forward(self, x):
            return super().forward(x).detach()

    with pytest.raises(ValueError, match="the network's output has no gradient: learning needs"):
        learn(Stepped(), x, target_bpp=17.0, **OPTIONS)


class Outputs(nn.Module):
    """The scores of `linear_reader` in another form."""

    def __init__(self, change):
        super().__init__()
        self.reader, self.change = linear_reader(16, 4, 6), change

    def forward(self, x):
        return self.change(self.reader(x))


TELL_NOTHING = {
    "one number": (lambda y: y[:, :1], r"KL tells nothing of outputs \(16, 1\)"),
    "none": (lambda y: y[:, 0], r"KL tells nothing of outputs \(16,\)"),
    "softmax": (lambda y: y.softmax(1), "KL wants scores before the softmax"),
    "a map of one": (lambda y: y[:, None, :, None], r"KL tells nothing of outputs \(16, 1, 6, 1\)"),
}


@pytest.mark.parametrize("name", TELL_NOTHING)
def test_what_a_loss_tells_nothing_of_is_refused_with_one_that_does(name):
    change, sentence = TELL_NOTHING[name]
    with pytest.raises(ValueError, match=sentence + ".* take --loss mse or cosine"):
        FrozenNetworks(Outputs(change), images(16, 16))
    with pytest.raises(ValueError, match=r"cross-entropy (tells|wants)"):
        FrozenNetworks(Outputs(change), images(16, 16), labels=torch.zeros(16, dtype=torch.long))
    preset = learn(
        Outputs(change), images(16, 16), loss=mse_loss, target_bpp=9.0, subsampling="4:4:4"
    )
    assert preset.provenance["learned"]["judged"]["default_loss"] > 0


def test_a_cosine_of_one_number_is_refused():
    with pytest.raises(ValueError, match=r"cosine tells nothing of outputs .* take --loss mse"):
        learn(Outputs(lambda y: y[:, :1]), images(16, 16), loss=cosine_loss, target_bpp=9.0)


def test_a_network_that_answers_at_every_position():
    """Its KL is the mean over the positions, and its sensitivity that of this mean."""

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.head = nn.Conv2d(3, 5, 4, stride=4)

        def forward(self, x):
            return 5 * self.head(x)

    pixels = images(16, 16)
    network = Dense()
    one = FrozenNetworks(network, pixels)
    outputs = network(images(16, 16, seed=5).float() / 255).detach()
    rows = [x.movedim(1, -1).flatten(0, 2).log_softmax(1) for x in (outputs, one.outputs[0])]
    expected = (rows[1].exp() * (rows[1] - rows[0])).sum(1).mean()
    assert one.loss(outputs, one.outputs[0]).item() == pytest.approx(expected.item(), rel=1e-5)
    preset = learn(network, pixels, max_drop=20.0, subsampling="4:4:4")
    assert 0 < preset.provenance["learned"]["judged"]["default_loss"] < 1
    # One position alone: the classifier that it is.
    single = nn.Sequential(network, nn.AvgPool2d(4))
    flat = nn.Sequential(single, nn.Flatten())
    drawn = [
        sensitivity(model, pixels, generator=torch.Generator().manual_seed(3))
        for model in (single, flat)
    ]
    assert torch.allclose(*drawn)


def test_the_sensitivity_of_many_positions_predicts_their_mean_kl():
    """``KL = ½ Σ s e²`` for small errors e, against the KL itself."""
    torch.manual_seed(0)
    network = nn.Conv2d(3, 5, 4, stride=4).double()

    def read(x):
        return 5 * network(x.double())

    model = nn.Module()
    model.forward = read
    pixels = images(8, 32)
    found = torch.stack(
        [
            sensitivity(model, pixels, generator=torch.Generator().manual_seed(seed))
            for seed in range(20)
        ]
    ).mean(0)
    z = image_to_coefficients(pixels.double() / 255, "4:4:4")
    generator = torch.Generator().manual_seed(9)
    predicted, measured = 0.0, 0.0
    for _ in range(10):
        errors = [0.5 * torch.randn(c.shape, generator=generator) for c in z]
        shown = coefficients_to_image(
            [c + e for c, e in zip(z, errors, strict=True)], (32, 32), "4:4:4"
        )
        clean = coefficients_to_image(z, (32, 32), "4:4:4")
        measured += kl(read(shown), read(clean)).mean().item()
        each = [(found[c] * errors[c] ** 2).sum((1, 2, 3, 4)).mean() for c in range(3)]
        predicted += 0.5 * sum(map(float, each))
    assert predicted == pytest.approx(measured, rel=0.15)
