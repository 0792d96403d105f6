"""One or several networks: what each loses counts, and the one that fails is named."""

import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.learn import learn
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
