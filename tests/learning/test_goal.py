"""What learning can be asked for: a price of bits, a rate, bytes, or a drop."""

import re

import numpy as np
import pytest
from torch import nn

from helpers.images import noise
from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.learning.image_rates import QUALITIES, ImageRates, default_tables
from softjpeg.learning.learn import learn
from softjpeg.learning.learn_ladder import learn_ladder
from softjpeg.learning.losses import mse_loss

OPTIONS = {"subsampling": "4:4:4", "batch_size": 4}


def test_a_drop_is_kept_with_fewer_bytes_than_default_tables_need():
    model, x = HighFrequencyReader(), images(64, 16)
    said = []
    preset = learn(model, x, max_drop=15, say=said.append, **OPTIONS)
    learned = preset.provenance["learned"]
    assert learned["drop"] <= 15
    assert learned["bpp"] < learned["default_bpp_for_drop"]
    # On real files: one answer of 32 may turn, where two decoders differ.
    judged = evaluate(model, x[32:], {"p": preset}, qualities=[], batch_size=8)[1]
    assert 100 * (1 - judged.agreement) == pytest.approx(learned["drop"], abs=3.2)
    bpp = evaluate(model, x, {"p": preset}, qualities=[], batch_size=8)[1].bpp
    assert bpp == pytest.approx(learned["bpp"], rel=1e-6)
    need = learned["default_bpp_for_drop"]
    (lost,) = re.findall(rf"^default tables lose ([\d.]+) points at {need:.3f} bpp$", said[0])
    assert float(lost) <= 15
    # The next quality below loses more, or costs as much.
    rates = ImageRates(x, "4:4:4")
    costs = [rates.bpp(default_tables(q)) for q in QUALITIES]
    below = QUALITIES[costs.index(need) - 1]
    worse = evaluate(model, x[32:], {}, qualities=[below], subsampling="4:4:4", batch_size=8)[1]
    assert 100 * (1 - worse.agreement) > 15
    assert "on this network, 4:4:4 default tables cost KL" in said[1]


def test_a_drop_that_cannot_be_reached_gives_the_nearest():
    class Chaotic(nn.Module):
        """Its answer is another one as soon as a single pixel changes."""

        def forward(self, x):
            total = (x * 255).round().sum((1, 2, 3))
            answer = nn.functional.one_hot((total % 7).long(), 7).float() * 5
            return answer + 0 * x.mean((1, 2, 3))[:, None]

    preset = learn(Chaotic(), noise(16), max_drop=1, batch_size=4)
    learned = preset.provenance["learned"]
    assert learned["drop"] > 1
    assert preset.luma.max() <= 2


def test_bytes_are_bits_per_pixel():
    by_bytes = learn(HighFrequencyReader(), images(8, 16), target_bytes=500, **OPTIONS)
    by_bpp = learn(HighFrequencyReader(), images(8, 16), target_bpp=500 * 8 / 256, **OPTIONS)
    assert np.array_equal(by_bytes.luma, by_bpp.luma)
    assert by_bytes.provenance["learned"]["target_bytes"] == 500


@pytest.mark.parametrize("size", [(5, 3), (1, 1)])
def test_images_smaller_than_a_block(size):
    x = noise(8)[:, :, : size[0], : size[1]].contiguous()
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 4))
    preset = learn(model, x, target_bytes=400)
    assert preset.provenance["learned"]["size"] == list(size)


def test_goals_that_make_no_sense():
    model, x = HighFrequencyReader(), images(4, 16)
    zero = "must be positive and finite, got"
    for goal, sentence in (
        ({"rate_weight": 0}, f"rate_weight {zero} 0"),
        ({"rate_weight": float("inf")}, f"rate_weight {zero} inf"),
        ({"target_bytes": float("nan")}, f"target_bytes {zero} nan"),
        ({"max_drop": -1}, "max_drop must be from 0 to under 100 points, got -1"),
        ({"max_drop": 1, "target_bpp": 2}, "exactly one of .*, got target_bpp 2, max_drop 1"),
        ({"max_drop": 1, "loss": mse_loss}, "max_drop counts answers, which a loss of your own"),
        ({"target_bpp": 9, "subsampling": "4:1:1"}, "subsampling must be one of .* got '4:1:1'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            learn(model, x, **goal)
    with pytest.raises(ValueError, match="models must hold at least one network, got none"):
        learn([], x, target_bpp=9)
    for rates in ({}, {"targets_bpp": [1.0], "qualities": [5]}):
        with pytest.raises(ValueError, match="exactly one of targets_bpp and qualities"):
            learn_ladder(model, x, **rates)
    with pytest.raises(ValueError, match=f"targets_bpp {zero} nan"):
        learn_ladder(model, x, [1.0, float("nan")])
