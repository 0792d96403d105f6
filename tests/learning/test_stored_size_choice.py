"""The stored size by measurement: small for networks that look at little, none for the others."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from helpers.images import photos, smooth_images
from helpers.networks import HighFrequencyReader
from softjpeg.codec.file_sizes import file_bytes
from softjpeg.codec.image import decode, encode
from softjpeg.learning import stored_size_choice
from softjpeg.learning.learn import learn
from softjpeg.learning.learn_ladder import learn_ladder, learned_ladder
from softjpeg.learning.run_options import RunOptions


class CoarseReader(nn.Module):
    """Answers from the means of a 4 x 4 grid of any image, as a network behind its resize does."""

    def forward(self, x):
        means = nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
        return 40 * (means - means.mean(1, keepdim=True))


def grainy(count=16, side=96):
    return smooth_images(count, side, side, grain=0.1)


def kl(network, images, preset):
    shown = torch.cat([network(decode(encode(i, preset))[None] / 255.0) for i in images])
    asked = network(images / 255.0)
    return (asked.softmax(-1) * (asked.log_softmax(-1) - shown.log_softmax(-1))).sum(-1).mean()


def test_fewer_pixels_for_a_network_that_averages_them():
    images, network = grainy(), CoarseReader()
    options = {"batch_size": 4, "subsampling": "4:4:4"}
    said = []
    found = learn(network, images, target_bpp=1.0, short_side="auto", say=said.append, **options)
    assert found.short_side is not None
    assert found.short_side < 96
    assert f"1.000 bpp: images stored at a shorter side of {found.short_side}" in said[0]
    keep = learn(network, images, target_bpp=1.0, **options)
    assert keep.short_side is None
    # Rates are those of the images' own pixels, by the files' bytes.
    for preset in (found, keep):
        bpp = 8 * file_bytes(images, preset) / (16 * 96 * 96)
        assert bpp == pytest.approx(1.0, rel=0.05)
        assert preset.provenance["learned"]["bpp"] == pytest.approx(bpp, rel=1e-6)
    fresh = smooth_images(16, 96, 96, seed=1, grain=0.1)
    assert kl(network, fresh, found) < 0.8 * kl(network, fresh, keep)


def test_every_pixel_for_a_network_that_reads_the_finest_detail():
    images = photos(16, 96)
    found = learn(Fitting(HighFrequencyReader()), images, target_bpp=4.0, short_side="auto")
    assert found.short_side is None


class Fitting(nn.Module):
    """A network of 96 x 96 pixels, which enlarges what was stored smaller."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(nn.functional.interpolate(x, (96, 96), mode="bilinear"))


def test_no_size_at_which_one_of_several_networks_loses():
    images = photos(16, 96)
    networks = [CoarseReader(), Fitting(HighFrequencyReader())]
    assert learn(CoarseReader(), images, target_bpp=2.0, short_side="auto").short_side is not None
    assert learn(networks, images, target_bpp=2.0, short_side="auto").short_side is None


def test_a_ladder_stores_fewer_pixels_at_lower_rates(tmp_path):
    images, options = grainy(), {"batch_size": 4, "short_side": "auto"}
    rates = [0.7, 6.0, 2.0]
    file = tmp_path / "state"
    first, again = (
        learn_ladder(CoarseReader(), images, rates, checkpoint=file, **options) for _ in range(2)
    )
    assert first == again
    low, high, middle = (preset.short_side or 96 for preset in first)
    assert low <= middle <= high
    assert low < 96
    ladder = learned_ladder(CoarseReader(), images, rates, **options)
    assert sorted(r.short_side or 96 for r in ladder.rungs) == sorted([low, middle, high])


OWN = None


def sizes_chosen(monkeypatch, losses, targets=(1.0,)):
    """What is chosen where (rate, size) loses as given, what was asked for, and what was said."""
    asked, said = [], []

    def of_size(stored, target):
        side = OWN if stored is objective else stored
        asked.append((target, side))
        return torch.tensor(losses[target][side], dtype=torch.float64)

    monkeypatch.setattr(stored_size_choice, "_losses", of_size)
    # Of most images the shorter side is 96: 80, 64, 48 and 32 are tried.
    images = [torch.zeros(3, *size) for size in ((96, 300), (60, 60), (500, 200))]
    objective = SimpleNamespace(images=images, storing=lambda short_side: short_side)
    options = RunOptions(short_side="auto", log=said.append)
    return stored_size_choice.short_sides(objective, targets, options), asked, said


def test_two_sizes_in_a_row_that_are_no_better_end_the_search(monkeypatch):
    worse = {OWN: [2.0], 80: [2.2], 64: [2.0], 48: [0.1]}
    found, asked, said = sizes_chosen(monkeypatch, {1.0: worse})
    assert found == {1.0: None}
    assert asked == [(1.0, side) for side in (OWN, 80, 64)]
    assert said == ["1.000 bpp: images stored at their own size (loss at 80 +10 %, 64 +0 %)"]
    between = {OWN: [2.0], 80: [1.8], 64: [1.9], 48: [1.6], 32: [1.7]}
    found, asked, said = sizes_chosen(monkeypatch, {1.0: between})
    assert found == {1.0: 48}
    assert said[0].startswith("1.000 bpp: images stored at a shorter side of 48 (loss at 80 -10 %")


def test_of_several_networks_the_mean_in_log_counts_and_none_may_lose(monkeypatch):
    # 80 is best on average, but the second network loses; 48 beats 64: 0.8·0.75 < 0.7·1.
    losses = {OWN: [1.0, 10.0], 80: [0.2, 10.1], 64: [0.7, 10.0], 48: [0.8, 7.5], 32: [0.9, 9.0]}
    found, _, said = sizes_chosen(monkeypatch, {1.0: losses})
    assert found == {1.0: 48}
    # The root of 0.8 times 0.75.
    assert "48 -23 %" in said[0]


def test_at_no_lower_rate_more_pixels_are_stored(monkeypatch):
    high = {OWN: [1.0], 80: [0.8], 64: [0.7], 48: [0.9], 32: [0.9]}
    low = {OWN: [1.0], 80: [0.1], 64: [0.9], 48: [0.8], 32: [0.85]}
    found, asked, _ = sizes_chosen(monkeypatch, {4.0: high, 1.0: low}, [1.0, 4.0, 1.0])
    assert list(found.items()) == [(4.0, 64), (1.0, 48)]
    assert [side for target, side in asked if target == 1.0] == [OWN, 64, 48, 32]


def test_a_size_that_is_given_is_the_presets():
    options = {"target_bpp": 2.0, "batch_size": 4}
    assert learn(CoarseReader(), grainy(8), short_side=64, **options).short_side == 64
    presets = learn_ladder(CoarseReader(), grainy(8), [2.0, 1.0], short_side=64, batch_size=4)
    assert [preset.short_side for preset in presets] == [64, 64]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"short_side": 0, "target_bpp": 1.0}, "short_side must be a whole number from 1 to 65535"),
        ({"short_side": "small", "target_bpp": 1.0}, "got 'small'"),
        ({"short_side": "auto", "max_drop": 1.0}, "needs a rate to measure at"),
        ({"short_side": "auto", "rate_weight": 1.0}, "target_bpp or target_bytes"),
    ],
)
def test_bad_sizes_are_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        learn(CoarseReader(), grainy(4), **options)
