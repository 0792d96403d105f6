"""Learning: reaches its rate, beats default tables where they are wrong, repeats, and resumes."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers import warm
from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.codec.image import decode, encode
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.learning.learn import learn


def test_finds_the_frequency_a_network_reads():
    model, held_out = HighFrequencyReader(), images(seed=1)
    target = ImageRates(images(), "4:4:4").bpp(default_tables(30))
    preset = learn(model, images(), subsampling="4:4:4", target_bpp=target, batch_size=8)
    figures = preset.provenance["learned"]
    assert figures["bpp"] == pytest.approx(target, rel=0.03)
    assert preset.luma[0, 6] < preset.luma[6, 0]
    points = evaluate(
        model, held_out, {"learned": preset}, qualities=[30], subsampling="4:4:4", batch_size=8
    )
    learned, default = points[1], points[2]
    assert learned.bpp < 1.05 * default.bpp
    assert learned.kl < 0.5 * default.kl


def test_the_loss_reported_is_that_of_the_integer_tables():
    model = HighFrequencyReader()
    preset = learn(model, images(), subsampling="4:4:4", rate_weight=0.05, batch_size=8)
    learned = preset.provenance["learned"]
    (_, point) = evaluate(model, images(), {"p": preset}, qualities=[], batch_size=8)
    (_, judged) = evaluate(model, images()[12:], {"p": preset}, qualities=[], batch_size=8)
    assert learned["judged"]["loss"] == pytest.approx(judged.kl, rel=0.1, abs=1e-3)
    assert learned["bpp"] == pytest.approx(point.bpp, rel=1e-6)


def test_a_larger_rate_weight_gives_smaller_files():
    model = HighFrequencyReader()
    rates = [
        learn(model, images(8), subsampling="4:4:4", rate_weight=w, batch_size=8).provenance[
            "learned"
        ]["bpp"]
        for w in (0.01, 1.0)
    ]
    assert rates[1] < rates[0]


def test_same_seed_same_preset_and_losses_of_other_kinds():
    model, x = HighFrequencyReader(), images(4, 16)
    labels = model(x.float() / 255).argmax(-1)
    options = {"target_bpp": 15.0, "batch_size": 2, "subsampling": "4:4:4"}

    def squared(outputs, targets):
        return ((outputs - targets) ** 2).mean()

    for extra in ({}, {"labels": labels}, {"loss": squared}):
        first, again = (learn(model, x, **options, **extra) for _ in "ab")
        assert first.to_json() == again.to_json()
    assert first.provenance["learned"]["loss_kind"] == "custom"


def test_labels_are_what_answers_are_compared_with():
    """Cross-entropy of real files of the judging half; many labels are not the own answers."""
    model, x = HighFrequencyReader(), images(16, 16)
    labels = torch.arange(16) % 4
    preset = learn(model, x, labels=labels, target_bpp=15.0, subsampling="4:4:4", batch_size=4)
    judged = preset.provenance["learned"]["judged"]
    with torch.no_grad():
        shown = torch.stack([decode(encode(image, preset)) for image in x[8:]]) / 255
        loss = nn.functional.cross_entropy(model(shown), labels[8:]).item()
        own = nn.functional.cross_entropy(model(shown), model(shown).argmax(-1)).item()
    assert judged["loss"] == pytest.approx(loss, rel=0.02)
    assert preset.provenance["learned"]["seed"] == 0
    assert abs(loss - own) > 0.1 * loss


RUN = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.learning.learn_ladder import learn_ladder
checkpoint, pixels = sys.argv[2] if len(sys.argv) > 3 else None, images(24, 16)
presets = learn_ladder(HighFrequencyReader(), pixels, [15.0, 19.0], subsampling="4:4:4",
                       batch_size=2, checkpoint=checkpoint)
measured_ladder(presets, pixels, presets[0].provenance).save(sys.argv[-1])
"""


def learn_words(*arguments):
    return "-c", RUN, Path(__file__).parents[1], *arguments


def done_batches(checkpoint):
    return torch.load(checkpoint, weights_only=True)["done"] if checkpoint.exists() else 0


def test_killed_and_resumed_is_the_same_byte_for_byte(tmp_path):
    assert warm.run(*learn_words(tmp_path / "whole.json")).returncode == 0
    checkpoint = tmp_path / "checkpoint"
    resumed = learn_words(checkpoint, tmp_path / "resumed.json")
    kills = 0
    # Amid the first rate's first pass, and amid the second rate.
    for enough in (3, 27):
        with warm.Started(*resumed) as process:
            while process.poll() is None and done_batches(checkpoint) < enough:
                time.sleep(0.01)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
    assert kills == 2
    assert warm.run(*resumed).returncode == 0
    assert (tmp_path / "resumed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert (
        json.loads((tmp_path / "whole.json").read_text())["provenance"]["learned"]["images"] == 24
    )


def test_two_rounds_resume_too_and_do_not_lose_the_first(tmp_path):
    model, x = HighFrequencyReader(), images(16, 16)
    options = {"target_bpp": 15.0, "subsampling": "4:4:4"}
    one, two = (learn(model, x, rounds=r, **options).provenance["learned"] for r in (1, 2))
    assert two["judged"]["loss"] <= one["judged"]["loss"] * 1.05
    again = learn(model, x, rounds=2, checkpoint=tmp_path / "c", **options)
    assert again.provenance["learned"] == two


def test_a_network_that_does_not_care_loses_nothing_and_costs_no_more():
    class Blind(nn.Module):
        def forward(self, x):
            return 0 * x.mean((2, 3))

    preset = learn(Blind(), images(16, 16), subsampling="4:4:4", target_bpp=15.0)
    learned = preset.provenance["learned"]
    assert learned["rate_weight"] > 0
    judged = learned["judged"]
    assert judged["loss"] == judged["default_loss"] == 0
    # Bytes are all that is left to tell tables apart.
    rates = ImageRates(images(16, 16), "4:4:4")
    quality = next(q for q in range(1, 101) if rates.bpp(default_tables(q)) >= 15.0)
    assert judged["default_bpp"] == rates.bpp(default_tables(quality))
    assert 15 * 0.95 < judged["bpp"] == learned["bpp"] <= judged["default_bpp"]
    tables = torch.from_numpy(preset.luma), torch.from_numpy(preset.chroma)
    assert learned["bpp"] == rates.bpp(tables)


def test_sharp_pictures_at_the_highest_rate():
    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (8, 3, 16, 16), generator=g).to(torch.uint8) * 255
    preset = learn(HighFrequencyReader(), x, subsampling="4:4:4", target_bpp=60.0)
    # More than any file can have: all steps are 1, and every coefficient is within baseline.
    learned, ones = preset.provenance["learned"], (torch.ones(8, 8, dtype=torch.long),) * 2
    assert learned["bpp"] == ImageRates(x, "4:4:4").bpp(ones) < 60
    assert (preset.luma == 1).all()
    assert (preset.chroma == 1).all()


def test_bad_networks_and_labels():
    class Nan(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) * float("nan")

    x = images(8, 16)
    for call in (lambda m: learn(m, x, target_bpp=9.0), lambda m: evaluate(m, x, {})):
        with pytest.raises(ValueError, match="output on the uncompressed images is not finite"):
            call(Nan())
        with pytest.raises(ValueError, match="network cannot read images of 16x16 pixels"):
            call(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)))

    class Steep(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) + (0 * x).sqrt().sum()

    with pytest.raises(ValueError, match="the gradient is not finite on compressed images 0 to 0"):
        learn(Steep(), x, target_bpp=9.0)

    class Corner(torch.autograd.Function):
        """One green pixel's gradient is infinite; in its block, all that follows have one sign."""

        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            gradient = gradient.clone()
            gradient[:, 1, 0, 0] = float("inf")
            return gradient

    class SteepCorner(nn.Module):
        def forward(self, x):
            return Corner.apply(x).mean((2, 3))

    with pytest.raises(ValueError, match="the gradient is not finite on compressed images 0 to 0"):
        learn(SteepCorner(), x, target_bpp=9.0, subsampling="4:4:4")
    labels = torch.full((8,), 9)
    with pytest.raises(ValueError, match="labels must be below 8 classes, got 9"):
        learn(HighFrequencyReader(), x, labels=labels, target_bpp=9.0)
    with pytest.raises(ValueError, match="seed must be from 0 to 2147483647, got -1"):
        learn(HighFrequencyReader(), x, target_bpp=9.0, seed=-1)


def test_refusals(tmp_path):
    model, x = HighFrequencyReader(), images(2)
    with pytest.raises(ValueError, match=r"exactly one of rate_weight, target_bpp, .*, got none"):
        learn(model, x)
    with pytest.raises(ValueError, match="target_bpp must be positive and finite, got -1"):
        learn(model, x, target_bpp=-1)
    with pytest.raises(ValueError, match="rate_weight must be positive and finite, got nan"):
        learn(model, x, rate_weight=float("nan"))
    with pytest.raises(ValueError, match=r"images must be uint8 .* torch.float32"):
        learn(model, x.float(), target_bpp=1.0)
    with pytest.raises(ValueError, match=r"labels must have shape \(2,\), got \(3,\)"):
        learn(model, x, labels=torch.zeros(3, dtype=torch.long), target_bpp=1.0)
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        learn(model, x, target_bpp=1.0, rounds=0)
    broken = tmp_path / "broken"
    broken.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="broken is not a checkpoint"):
        learn(model, x, target_bpp=9.0, checkpoint=broken)
    other = tmp_path / "other"
    learn(model, x, target_bpp=9.0, checkpoint=other)
    with pytest.raises(ValueError, match=r"other is the checkpoint of another run"):
        learn(model, x, target_bpp=10.0, checkpoint=other)
    with pytest.raises(ValueError, match="other is the checkpoint of another run"):
        learn(model, x, labels=torch.tensor([0, 0]), target_bpp=9.0, checkpoint=other)
    model.kernel *= 2
    with pytest.raises(ValueError, match="other is the checkpoint of another run"):
        learn(model, x, target_bpp=9.0, checkpoint=other)
