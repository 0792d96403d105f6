"""What learning can be asked for: a drop, bytes, several networks, any loss, any subsampling."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.learning.learn import learn, learn_ladder
from softjpeg.learning.losses import cosine_loss, curvature_draw, load_loss, mse_loss

OPTIONS = {"subsampling": "4:4:4", "batch_size": 4}


class VerticalReader(HighFrequencyReader):
    """The same for the finest vertical detail, with answers a hundred times as steep."""

    def __init__(self):
        super().__init__()
        self.kernel = self.kernel.mT.contiguous()

    def forward(self, x):
        return 3 * super().forward(x)


class ChromaReader(nn.Module):
    """Answers from the colour of single pixels, which 4:2:0 mixes with their neighbours'."""

    def forward(self, x):
        difference = x[:, 0, ::8, ::8] - x[:, 2, ::8, ::8]
        return 40 * torch.cat([difference.flatten(1), -difference.flatten(1)], 1)


def colored(count=16, side=16, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=g).to(torch.uint8)


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
    assert said[0].startswith(f"default tables lose {0:.0f}") or "points at" in said[0]
    assert "on this network, 4:4:4 default tables cost KL" in said[1]


def test_a_drop_that_cannot_be_reached_gives_the_nearest():
    class Chaotic(nn.Module):
        """Its answer is another one as soon as a single pixel changes."""

        def forward(self, x):
            total = (x * 255).round().sum((1, 2, 3))
            answer = nn.functional.one_hot((total % 7).long(), 7).float() * 5
            return answer + 0 * x.mean((1, 2, 3))[:, None]

    preset = learn(Chaotic(), colored(16), max_drop=1, batch_size=4)
    learned = preset.provenance["learned"]
    assert learned["drop"] > 1
    assert preset.luma.max() <= 2


def test_bytes_are_bits_per_pixel():
    by_bytes = learn(HighFrequencyReader(), images(8, 16), target_bytes=500, **OPTIONS)
    by_bpp = learn(HighFrequencyReader(), images(8, 16), target_bpp=500 * 8 / 256, **OPTIONS)
    assert np.array_equal(by_bytes.luma, by_bpp.luma)
    assert by_bytes.provenance["learned"]["target_bytes"] == 500


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


def test_subsampling_by_measurement(tmp_path):
    options = {"subsampling": "auto", "batch_size": 4}
    file = tmp_path / "state"
    found = learn(ChromaReader(), colored(), checkpoint=file, target_bpp=30.0, **options)
    # Where every pixel's own colour counts, mixing it with its neighbours' costs most.
    assert found.subsampling == "4:4:4"
    measured = found.provenance["learned"]["subsamplings"]
    assert set(measured) == {"4:4:4", "4:2:2", "4:2:0"}
    assert min(measured, key=measured.get) == "4:4:4"
    again = learn(ChromaReader(), colored(), checkpoint=file, target_bpp=30.0, **options)
    assert again.to_json() == found.to_json()
    # Three for the default tables, two for the better ones learned, one of the run itself.
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 6
    assert "state.444" in names
    # By rate, where answers are to be kept; a ladder chooses once, at its middle rate.
    kept = learn(ChromaReader(), colored(), max_drop=13, **options)
    rates = kept.provenance["learned"]["subsamplings"]
    assert kept.subsampling == min(rates, key=rates.get)
    checkpoint = tmp_path / "ladder"
    ladder, resumed = (
        learn_ladder(ChromaReader(), colored(), [40.0, 30.0], checkpoint=checkpoint, **options)
        for _ in range(2)
    )
    assert {preset.subsampling for preset in ladder} == {"4:4:4"}
    assert resumed == ladder


def test_an_embedding_by_its_cosine():
    model = nn.Sequential(HighFrequencyReader(), nn.Tanh())
    preset = learn(model, images(16, 16), loss=cosine_loss, target_bpp=17.0, **OPTIONS)
    judged = preset.provenance["learned"]["judged"]
    assert judged["loss"] < 0.8 * judged["default_loss"]
    assert preset.luma[0, 6] < preset.luma[6, 0]


def hessian(loss, outputs, targets):
    return torch.autograd.functional.hessian(lambda x: loss(x[None], targets), outputs[0])


@pytest.mark.parametrize("loss", [mse_loss, cosine_loss])
def test_a_draw_squares_to_the_hessian(loss):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, generator=g)
    draws = curvature_draw(lambda a, b: loss(a, b), x.expand(20000, 4), x.expand(20000, 4), g)
    measured = draws.T @ draws / len(draws)
    expected = hessian(loss, x, x)
    assert torch.allclose(measured, expected, atol=0.03 * float(expected.diagonal().max()))


def test_a_draw_of_a_loss_without_curvature_is_its_gradient():
    x = torch.tensor([[1.0, -2.0]])
    draw = curvature_draw(lambda a, b: (a - b).abs().mean(), x, 0 * x, torch.Generator())
    assert torch.allclose(draw, torch.tensor([[0.5, -0.5]]))


def test_losses_by_name(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def far(outputs, targets):\n    return (outputs - targets).abs().mean()\n")
    assert load_loss("kl") is None
    assert load_loss(f"{file}:far")(torch.ones(2, 2), torch.zeros(2, 2)) == 1
    for spec, sentence in (
        ("l2", r"loss must be kl, cosine, mse or FILE.py:FUNCTION, got 'l2'"),
        ("absent.py:far", "loss file absent.py does not exist"),
        (f"{file}:near", "mine.py has no function 'near'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            load_loss(spec)
    file.write_text("1 / 0")
    with pytest.raises(ValueError, match=r"mine.py failed: ZeroDivisionError: division by zero"):
        load_loss(f"{file}:far")


class Failing(HighFrequencyReader):
    """Answers NaN from the n-th batch on."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def forward(self, x):
        self.left -= 1
        return super().forward(x) * (1 if self.left >= 0 else float("nan"))


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


@pytest.mark.parametrize("size", [(5, 3), (1, 1)])
def test_images_smaller_than_a_block(size):
    x = colored(8)[:, :, : size[0], : size[1]].contiguous()
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
