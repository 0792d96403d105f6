import dataclasses
import io
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from helpers.images import photos
from helpers.networks import texture_reader
from softjpeg.adaptation import judging
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter, weights_fingerprint
from softjpeg.adaptation.judging import (
    STRENGTHS,
    NoGainError,
    clean_drops,
    cross_fitted_gain,
    figures_table,
    judged,
)
from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.adaptation.strength import StrengthCurve, luma_step
from softjpeg.adaptation.task import Task
from softjpeg.codec.image import decode, encode
from softjpeg.models.fidelity import kl
from softjpeg.presets.preset import Preset


def distance(outputs, targets):
    return (outputs - targets).abs().mean()


def made(images, change, loss=None, labels=None, qualities=(10, 60)):
    """A texture reader, an adapter of random changes, and the task."""
    network = texture_reader(nn.BatchNorm2d(8), images)
    base = {n: w.clone() for n, w in network.state_dict().items() if n == "norm.weight"}
    adapted = {n: w * change for n, w in base.items()}
    curve = StrengthCurve(((1.0, 1.0),))
    adapter = Adapter("norm", base, adapted, weights_fingerprint(network), curve)
    task = Task(network, images, StoredFiles(qualities=qualities), loss, labels, 0.0, 5, 0)
    return network, adapter, task


def test_strengths_are_those_of_least_loss_on_the_judging_images():
    # JPEG leaves less detail than the statistics say: less weight on it makes up for that.
    images = photos(32, 24)
    network, adapter, task = made(images, 0.4)
    found, figures = judged(adapter, task, 1.0)
    own = images[3::4]
    with torch.no_grad():
        target = network(own / 255)
    measured = []
    for figure in figures:
        preset = Preset.from_quality(figure.quality)
        files = [encode(image, preset) for image in own]
        shown = torch.stack([decode(data) for data in files]) / 255
        losses = []
        for strength in STRENGTHS:
            adapter.apply(network, strength)
            with torch.no_grad():
                losses.append(float(kl(network(shown), target).mean()))
            adapter.remove(network)
        assert figure.frozen == pytest.approx(losses[0], rel=1e-3)
        assert figure.full == pytest.approx(losses[-1], rel=1e-3)
        assert figure.adapted == pytest.approx(losses[STRENGTHS.index(figure.strength)], rel=1e-3)
        assert figure.bpp == pytest.approx(8 * sum(map(len, files)) / (8 * 24**2), abs=1e-4)
        assert found.strength.at(luma_step(preset.luma)) == figure.strength
        measured.append(np.array(losses) / losses[0])
    # Of all choices that never fall, the one of least loss, every quality counting alike.
    rising = list(combinations_with_replacement(range(len(STRENGTHS)), len(figures)))
    costs = [sum(row[k] for row, k in zip(measured, each, strict=True)) for each in rising]
    chosen = [STRENGTHS[k] for k in rising[int(np.argmin(costs))]]
    assert [figure.strength for figure in figures] == chosen
    assert max(chosen) == 1
    assert found.provenance["judged_on"] == 8
    assert found.provenance["gain"][0] > 2 * found.provenance["gain"][1]


def test_files_are_judged_in_their_mode():
    images = photos(32, 24)
    network, adapter, task = made(images, 0.4)
    one = Preset.from_quality(20)
    drawn = dataclasses.replace(one, hardness=np.full((2, 8, 8), 0.5))
    task = dataclasses.replace(task, files=StoredFiles(drawn, mode="probabilistic"))
    _, (figure,) = judged(adapter, task, 1.0)
    files = [encode(images[i], drawn, "probabilistic", seed=i) for i in task.judging]
    assert figure.bpp == pytest.approx(8 * sum(map(len, files)) / (8 * 24**2), abs=1e-4)
    shown = torch.stack([decode(data) for data in files]) / 255
    with torch.no_grad():
        loss = kl(network(shown), network(images[task.judging] / 255)).mean()
    assert figure.frozen == pytest.approx(float(loss), rel=1e-3)
    hard = [encode(images[i], one) for i in task.judging]
    assert sum(map(len, files)) != sum(map(len, hard))


def test_every_quality_counts_alike_whatever_its_loss(monkeypatch):
    """Fine tables lose half of little, coarse ones gain a tenth of much: 3·0.5 - 4·0.1 of 7."""
    _, adapter, task = made(photos(32, 24), 0.4)
    ends = iter([(0.1, 0.05)] * 3 + [(10.0, 11.0)] * 4)

    def losses(*_):
        return np.linspace(*next(ends), len(STRENGTHS))[:, None].repeat(8, 1), 1.0

    monkeypatch.setattr(judging, "_image_losses", losses)
    found, figures = judged(adapter, task, 1.0)
    assert [figure.strength for figure in figures] == [1.0] * 7
    assert found.provenance["gain"] == [round(1.1 / 7, 4), 0]


@pytest.mark.parametrize("change", [1.0, 1.6])
def test_no_gain_is_no_adapter(change):
    _, adapter, task = made(photos(32, 24), change)
    with pytest.raises(NoGainError, match=r"beat the frozen network beyond chance.* on 8"):
        judged(adapter, task, 1.0)


def test_gains_are_tested_on_images_that_did_not_choose():
    random = np.random.default_rng(0)
    found = []
    for _ in range(40):
        # Every strength is as good as none: choosing the best of five flatters.
        losses = 1 + 0.3 * random.standard_normal((7, 5, 24))
        gain, error = cross_fitted_gain(losses)
        found.append(gain > 2 * error)
    assert sum(found) <= 4
    steady = np.ones((7, 5, 24))
    steady[:, 1:] = 0.9 + 0.05 * random.standard_normal((7, 4, 24))
    gain, error = cross_fitted_gain(steady)
    assert gain > 5 * error


def test_clean_drop_by_hand():
    images = photos(16, 24)
    network, adapter, task = made(images, -1.0)
    both = AdaptedNetwork(network, adapter)
    with torch.no_grad():
        answers, changed = network(images[3::4] / 255), both(images[3::4] / 255, 1.0)
    chances = answers.softmax(-1)
    lost = [
        float(p.max() - p[int(other.argmax())]) for p, other in zip(chances, changed, strict=True)
    ]
    drops = clean_drops(both, task, answers)
    assert drops[0] == 0
    assert drops[-1] == pytest.approx(100 * sum(lost) / 4, abs=1e-3)
    assert drops[-1] > 1
    labels = torch.zeros(16, dtype=torch.long)
    labels[3::4] = answers.argmax(-1)
    labels[3] = (labels[3] + 1) % 6
    by_labels = clean_drops(both, made(images, -1.0, labels=labels)[2], answers)
    right = (changed.argmax(-1) == labels[3::4]).double().mean()
    assert by_labels[-1] == pytest.approx(100 * (0.75 - float(right)))


def test_the_fixed_strength_is_the_largest_that_originals_bear():
    images = photos(32, 24)
    _, adapter, task = made(images, 0.4)
    drops = judged(adapter, task, 0.0)[0].provenance["clean_drop"]
    for bound in (0.0, drops[2] + 1e-3, 100.0):
        bearable = [s for s, drop in zip(STRENGTHS, drops, strict=True) if drop <= bound]
        assert judged(adapter, task, bound)[0].fixed_strength == bearable[-1]
    # Outputs that are no classes have no answers to lose.
    _, adapter, task = made(images, 0.4, loss=distance)
    found, _ = judged(adapter, task, 0.0)
    assert (found.fixed_strength, found.provenance["clean_drop"]) == (1.0, None)


def test_the_table_shows_every_figure():
    _, adapter, task = made(photos(32, 24), 0.4)
    found, figures = judged(adapter, task, 1.0)
    console = Console(width=120, file=io.StringIO())
    console.print(figures_table(found.provenance["figures"], "KL"))
    text = console.file.getvalue()
    assert "On images that did not train" in text
    assert "loss: KL" in text
    for figure in figures:
        gone = 100 * (1 - figure.adapted / figure.frozen)
        cells = (f"{figure.quality}", f"{figure.bpp:.3f}", f"{figure.frozen:.4f}", f"{gone:.0f}")
        assert any(all(cell in line for cell in cells) for line in text.splitlines())
