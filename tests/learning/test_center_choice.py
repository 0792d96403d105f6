"""What networks are seen to read: crops by hand, and presets that store no more than that."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers.images import smooth_images
from softjpeg import Preset, decode, encode
from softjpeg.codec.center import center_box
from softjpeg.learning.center_choice import seen_center
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import default_tables
from softjpeg.learning.learn import learn
from softjpeg.learning.learn_ladder import learn_ladder, learned_ladder
from softjpeg.learning.objective import Objective
from softjpeg.models.preprocessing import Preprocessed, Preprocessing


class Crop(nn.Module):
    """Reads (rows, columns) in the middle, from (top, left) where that is said."""

    def __init__(self, rows, columns):
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x):
        top, left = (x.shape[-2] - self.rows) // 2, (x.shape[-1] - self.columns) // 2
        crop = x[..., top : top + self.rows, left : left + self.columns]
        return 9 * nn.functional.adaptive_avg_pool2d(crop, 4).flatten(1)


def seen(networks, *sizes):
    images = [smooth_images(1, h, w, seed=i)[0] for i, (h, w) in enumerate(sizes)]
    return seen_center(Objective(FrozenNetworks(networks, images), "4:2:0"))


@pytest.mark.parametrize(
    ("networks", "sizes", "share"),
    [
        (Crop(48, 48), [(64, 96)], 0.75),
        (Crop(48, 48), [(96, 64)], 0.75),
        # The farther side decides.
        (Crop(32, 48), [(64, 96)], 0.75),
        (Crop(20, 20), [(60, 96)], 0.34),
        # Of several images and networks, what needs most.
        (Crop(48, 48), [(64, 96), (80, 80)], 0.75),
        ([Crop(32, 32), Crop(48, 48)], [(64, 96)], 0.75),
        (Crop(64, 64), [(64, 96)], 1.0),
        (Crop(64, 80), [(64, 96)], None),
        (Crop(64, 64), [(64, 64)], None),
    ],
)
def test_crops_by_hand(networks, sizes, share):
    assert seen(networks, *sizes) == share


def test_through_a_networks_own_resize_with_what_its_filter_reaches():
    behind = Preprocessing(64, crop=(48, 48))
    found = seen(Preprocessed(Crop(48, 48), behind), (96, 128), (128, 96))
    # 48 of 64, and on either side up to two of its pixels, which bicubic weights reach.
    assert 0.75 < found <= 0.75 + 2 * (2 * 96 / 64 + 1) / 96
    squashing = Preprocessed(Crop(48, 48), Preprocessing((48, 48), "squash"))
    assert seen(squashing, (96, 128)) is None


def test_learned_presets_have_it_and_their_files_cost_no_loss_by_it():
    images, network = smooth_images(16, 64, 96, grain=0.1), Crop(32, 32)
    said = []
    options = {"batch_size": 4, "subsampling": "4:4:4"}
    found = learn(network, images, target_bpp=1.0, center="auto", say=said.append, **options)
    assert found.center == 0.5
    assert said[0].startswith("of blocks outside the middle 0.5 of the shorter side")
    # Real files: the rate is that of files whose margins are means.
    size = 8 * sum(len(encode(image, found)) for image in images) / images[:, 0].numel()
    assert found.provenance["learned"]["bpp"] == pytest.approx(size, rel=1e-6)
    whole = learn(network, images, target_bpp=1.0, **options)
    assert whole.center is None
    judged = [p.provenance["learned"]["judged"]["loss"] for p in (found, whole)]
    assert judged[0] < 0.5 * judged[1]
    # Against default JPEG, which stores all: most of the pixels are outside.
    ((saved, _, _),) = found.provenance["learned"]["saved"]
    left, top, right, bottom = center_box((64, 96), 0.5)
    outside = 1 - (right - left) * (bottom - top) / (64 * 96)
    assert saved > 0.5 * outside


def test_ladders_have_it_and_rates_stay_those_of_default_files():
    images, network = smooth_images(8, 64, 96, grain=0.1), Crop(32, 32)
    options = {"batch_size": 4, "center": 0.5}
    presets = learn_ladder(network, images, qualities=[10, 30], **options)
    assert [p.center for p in presets] == [0.5, 0.5]
    for preset, quality in zip(presets, (10, 30), strict=True):
        default = sum(len(encode(i, Preset.from_quality(quality))) for i in images)
        assert sum(len(encode(i, preset)) for i in images) == pytest.approx(default, rel=0.06)
    ladder = learned_ladder(network, images, qualities=[50], batch_size=4, center="auto")
    assert ladder.at(50).center == 0.5


def test_a_network_that_reads_all_says_so():
    images, said = smooth_images(4, 32, 48), []
    whole = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    options = {"target_bpp": 2.0, "batch_size": 2, "center": "auto"}
    assert learn(whole, images, say=said.append, **options).center is None
    assert "the networks read all of the images: all is stored whole" in said
    for bad in (0, 1.5, "middle"):
        with pytest.raises(ValueError, match=r"^center must be a share .*, got "):
            learn(whole, images, target_bpp=2.0, center=bad)


def test_under_no_grad_too():
    with torch.no_grad():
        assert seen(Crop(48, 48), (64, 96)) == 0.75


class WithoutGradient(nn.Module):
    def forward(self, x):
        return (10 * nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)).detach()


def test_a_network_without_a_gradient_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="the network's output has no gradient"):
        seen(WithoutGradient(), (32, 48))


def test_rates_that_are_known_are_kept_where_nothing_else_is_stored():
    images = smooth_images(4, 32, 48)
    objective = Objective(FrozenNetworks(Crop(16, 16), images, batch_size=2), "4:2:0")
    assert objective.storing(short_side=None, center=None) is objective
    part = objective.storing(center=0.5)
    assert (part.short_side, part.center) == (None, 0.5)
    assert part.storing(center=0.5) is part
    smaller = part.storing(short_side=16)
    assert (smaller.short_side, smaller.center) == (16, 0.5)


def test_losses_are_those_of_files_without_their_margins():
    images = smooth_images(4, 64, 96, grain=0.15)
    objective = Objective(FrozenNetworks(Crop(64, 96), images, batch_size=4), "4:4:4", center=0.4)
    tables = default_tables(60)
    own = Preset.from_quality(60, "4:4:4")
    shown = {
        center: [decode(encode(i, replace(own, center=center))) for i in images]
        for center in (0.4, None)
    }
    part = slice(0, 4)
    ((found,),) = objective.losses(part, [tables])
    ((whole,),) = objective.storing(center=None).losses(part, [tables])
    for loss, center in ((found, 0.4), (whole, None)):
        assert loss == pytest.approx(objective.file_losses(part, shown[center])[0], rel=0.05)
    assert not 0.8 < found / whole < 1.25
