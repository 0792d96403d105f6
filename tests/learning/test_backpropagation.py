"""Descent through the quantizer: its gradients against float64, what it learns, and resuming."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from scipy.special import softmax

from helpers import references
from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg import Preset, decode, encode, learn, learn_ladder
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning.backpropagation import Backpropagation, descent_of, rounded, slopes
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.descent_passes import DescentPass
from softjpeg.learning.schedule import schedule

FAST = {"subsampling": "4:4:4", "batch_size": 4}


class Logits(torch.nn.Module):
    """Four numbers, linear in the pixels of 8x16."""

    def __init__(self):
        super().__init__()
        g = torch.Generator().manual_seed(3)
        self.weight = 0.3 * torch.randn(3 * 8 * 16, 4, generator=g)

    def forward(self, x):
        return x.flatten(1) @ self.weight.to(x)


class Means(torch.nn.Module):
    """Contrast between columns and between rows: of images of any size."""

    def forward(self, x):
        across, down = x.diff(dim=3), x.diff(dim=2)
        return 20 * torch.cat([across.abs().mean((2, 3)), down.square().mean((2, 3))], 1)


def objective_of(model, x, **options):
    return Objective(FrozenNetworks(model, x, batch_size=len(x), **options), "4:4:4")


def logs_of(q, h):
    return torch.tensor([[q, 1.3 * q], [h, 0.7 * h]]).log()[..., None, None].expand(2, 2, 8, 8)


def test_slopes_are_those_of_the_objective_in_float64():
    """Both terms again with NumPy alone, then differences; a linear loss sees no rounding."""
    model, x = Logits(), images(1, 16)[:, :, :8]
    objective = objective_of(model, x, loss=lambda outputs, targets: (outputs - targets).sum())
    found = slopes(objective, slice(0, 1), logs_of(20.0, 3.0), Backpropagation(), [1.0])
    z = [p[0].double().numpy() for p in image_to_coefficients(x, "4:4:4", rounding=True)]

    def terms(logs):
        planes, bits = [], 0.0
        for plane, kind in zip(z, (0, 1, 1), strict=True):
            q, h = np.exp(logs[0, kind]), np.exp(logs[1, kind])
            index = np.arange(-150, 151)
            distance = (plane[..., None] / q[..., None] - index) ** 2
            planes.append(softmax(-h[..., None] * distance, -1) @ index * q)
            predicted = plane.copy()
            predicted[..., 0, 0] = np.diff(plane[..., 0, 0].ravel(), prepend=0).reshape(1, 2)
            bits += references.entropy(predicted[None], q, h / q**2).sum() * 2
        samples = np.stack([references.idctn(p, axes=(-2, -1), norm="ortho") for p in planes])
        shown = references.rgb(np.concatenate(np.moveaxis(samples[:, 0], 1, 0), -1) + 128) / 255
        return (shown.ravel() @ model.weight.double().numpy()).sum(), bits / 128

    logs = logs_of(20.0, 3.0).double().numpy().copy()
    for place in ((0, 0, 0, 0), (0, 0, 1, 2), (0, 1, 0, 1), (1, 0, 0, 1), (1, 1, 0, 0)):
        moved = []
        for change in (1e-5, -1e-5):
            at = logs.copy()
            at[place] += change
            moved.append(terms(at))
        slope = (np.array(moved[0]) - moved[1]) / 2e-5
        assert found.loss[place].item() == pytest.approx(slope[0], rel=1e-3, abs=1e-5)
        assert found.rate[place].item() == pytest.approx(slope[1], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("deviation", [4.0, 8.0, 15.0, 60.0])
def test_the_gradient_of_rounding_is_that_of_its_squared_error(deviation):
    """∂D/∂q of a Laplacian source in closed form; straight-through alone is far off near zero."""
    z = np.random.default_rng(0).laplace(scale=deviation / 2**0.5, size=400_000)
    z, step = torch.from_numpy(z).float().reshape(-1, 8, 8), 20.0
    q = torch.full((8, 8), step, requires_grad=True)
    y = rounded(z, q)
    error = (step * torch.round(z / step) - z).numpy()
    assert (y - z).tolist() == error.tolist()
    ((y - z) ** 2).mean().backward()
    found = q.grad.sum().item()

    def distortion(q):
        x = q / (2**0.5 * deviation)
        return deviation**2 * (1 - x / np.sinh(x))

    slope = (distortion(step + 0.02) - distortion(step - 0.02)) / 0.04
    assert found == pytest.approx(slope, rel=0.08)
    if deviation < step / 2:
        assert 2 * (error**2).mean() / step > 1.3 * slope


@pytest.mark.parametrize(
    "settings",
    [
        {"forward": "hard"},
        {"forward": "hard", "rate": "jpeg", "start": "measured"},
        {"rate": "jpeg", "hardness": (2.0, 5.0)},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_finds_the_frequency_a_network_reads(settings):
    x = images()
    target = ImageRates(x, "4:4:4").bpp(default_tables(30))
    descent = Backpropagation(steps=25, learning_rate=0.1, **settings)
    preset = learn(HighFrequencyReader(), x, target_bpp=target, method=descent, **FAST)
    learned = preset.provenance["learned"]
    assert learned["descent"] == asdict(descent)
    assert learned["bpp"] == pytest.approx(target, rel=0.03)
    assert learned["judged"]["loss"] < 0.9 * learned["judged"]["default_loss"]
    assert preset.luma[0, 6] < preset.luma[6, 0]


def test_a_soft_descent_learns_each_entrys_hardness():
    descent = Backpropagation(steps=30, hardness=(5.0, 9.0))
    preset = learn(HighFrequencyReader(), images(8, 16), target_bpp=15.0, method=descent, **FAST)
    assert preset.hardness.min() >= 9 - 1e-4
    assert preset.hardness.std() > 0.05
    assert isinstance(preset, Preset)


def test_a_fixed_rate_weight_prices_bits():
    descent = Backpropagation(forward="hard", steps=40, learning_rate=0.1)
    cheap, dear = (
        learn(HighFrequencyReader(), images(8), rate_weight=w, method=descent, **FAST)
        for w in (1e-3, 10.0)
    )
    # The network reads this frequency alone: nothing else is worth a bit at any price.
    assert cheap.luma[0, 6] < 0.5 * dear.luma[0, 6]
    assert cheap.provenance["learned"]["rate_weight"] == 1e-3


def test_a_worse_descent_is_not_kept_where_it_starts_from_what_was_measured():
    said = []
    descent = Backpropagation("measured", "hard", steps=2, learning_rate=3.0)
    options = {"target_bpp": 15.0, **FAST}
    model, x = HighFrequencyReader(), images(16, 16)
    hybrid = learn(model, x, method=descent, say=said.append, **options)
    measured = learn(model, x, **options)
    assert (hybrid.luma == measured.luma).all()
    assert (hybrid.chroma == measured.chroma).all()
    assert "not surely better, the start is kept" in said[-1]
    # Without a start to fall back on it is kept, and its loss is told.
    alone = learn(
        model, x, method=Backpropagation("default", "hard", steps=2, learning_rate=3.0), **options
    )
    judged = alone.provenance["learned"]["judged"]
    assert judged["loss"] > hybrid.provenance["learned"]["judged"]["loss"]


class StopError(Exception):
    """In place of a power cut."""


@pytest.mark.parametrize("method", ["backprop", "hybrid"])
def test_interrupted_and_resumed_is_the_same(tmp_path, monkeypatch, method):
    settings = descent_of(method)
    descent = Backpropagation(**{**asdict(settings), "steps": 6})
    x = [*images(4, 16), *images(4, 24)]

    def run(checkpoint=None):
        presets = learn_ladder(
            Means(), x, [15.0, 12.0], method=descent, checkpoint=checkpoint, **FAST
        )
        return [preset.to_json() for preset in presets]

    whole = run()
    original, calls = DescentPass.step, []

    def interrupted(self, *arguments):
        calls.append(None)
        if len(calls) in (3, 10):
            raise StopError
        original(self, *arguments)

    monkeypatch.setattr(DescentPass, "step", interrupted)
    for _ in range(2):
        with pytest.raises(StopError):
            run(tmp_path / "checkpoint")
    assert run(tmp_path / "checkpoint") == whole


@pytest.mark.parametrize("worst_case", [False, True])
def test_of_several_networks_the_mean_or_the_worst_is_differentiated(worst_case):
    """Each weighs 2.5 over its own scale: 2.5 and 0.625."""
    x, logs = images(2, 16)[:, :, :8], logs_of(20.0, 3.0)
    first, second = Logits(), Logits()
    second.weight = 3 * second.weight.flip(0, 1)

    def squared(outputs, targets):
        return ((outputs - targets) ** 2).mean()

    def found(models, scales):
        networks = FrozenNetworks(models, x, loss=squared, batch_size=2)
        objective = Objective(networks, "4:4:4", worst_case=worst_case)
        # Both images are in one batch, and its loss is asked for where the slopes are taken.
        return slopes(objective, slice(0, 2), logs, Backpropagation(), scales)

    alone = [found([model], [1.0]) for model in (first, second)]
    both = found([first, second], [1.0, 4.0])
    parts = [2.5 * alone[0].loss, 0.625 * alone[1].loss]
    # The second's loss is nine times the first's here, and so is its slope, about.
    worst = parts[1]
    assert worst.norm() > 2 * parts[0].norm()
    wanted = worst if worst_case else (parts[0] + parts[1]) / 2
    torch.testing.assert_close(both.loss, wanted, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(both.rate, alone[0].rate, rtol=1e-4, atol=1e-7)


def test_several_networks_and_custom_losses():
    def squared(outputs, targets):
        return ((outputs - targets) ** 2).mean()

    networks = [HighFrequencyReader(), HighFrequencyReader()]
    descent = Backpropagation(forward="hard", steps=4)
    options = {"target_bpp": 15.0, "method": descent, "loss": squared, **FAST}
    x = images(8, 16)
    twice = learn(networks, x, worst_case=True, **options)
    learned = twice.provenance["learned"]
    assert (learned["loss_kind"], learned["networks"]) == ("custom", 2)
    # A network beside itself changes nothing.
    alone = learn(networks[0], x, **options)
    assert np.abs(twice.luma - alone.luma).max() <= 1
    assert np.abs(twice.chroma - alone.chroma).max() <= 1
    # What is told of it is the loss that was given, of real files of the judging half.
    files = torch.stack([decode(encode(image, alone)) for image in x[4:]]) / 255
    told = squared(networks[0](files), networks[0](x[4:] / 255)).item()
    assert alone.provenance["learned"]["judged"]["loss"] == pytest.approx(told, rel=0.05)


def test_which_passes_are_made():
    def names(*arguments):
        return [type(one).__name__ for one in schedule(*arguments)]

    descents = ["DescentPass", "DescentChoice"]
    assert names(1, [2.0, 1.0], None, descent_of("backprop")) == descents * 2
    hybrid = names(1, [2.0, 1.0], None, descent_of("hybrid"))
    assert hybrid[4:] == [*descents, "BandPass", "ChoicePass", *descents]
    assert names(2, [2.0]) == names(1, [2.0]) * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "annex-k"}, "start must be default or measured, got 'annex-k'"),
        ({"forward": "sft"}, "forward must be soft or hard, got 'sft'"),
        ({"rate": "bits"}, "rate must be entropy or jpeg, got 'bits'"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive and finite, got -1.0"),
        ({"hardness": (0.0, 1.0)}, "hardness must be positive and finite, got 0.0"),
    ],
)
def test_refused_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Backpropagation(**settings)


def test_refused_runs():
    model, x = HighFrequencyReader(), images(4, 16)
    with pytest.raises(ValueError, match=r"method must be measured, .* got 'sgd'"):
        learn(model, x, target_bpp=9.0, method="sgd")
    with pytest.raises(ValueError, match="subsampling 'auto' is chosen by"):
        learn(model, x, target_bpp=9.0, method="backprop", subsampling="auto")

    class Steep(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) + (0 * x).sqrt().sum()

    with pytest.raises(ValueError, match="gradient in the tables is not finite on images 0 to 0"):
        learn(Steep(), x, target_bpp=9.0, method="backprop", batch_size=1)
