"""Runs that are interrupted anywhere go on exactly; the runner knows no pass by name."""

import pytest
import torch

from helpers.images import photos as images
from helpers.networks import HighFrequencyReader
from softjpeg.learning import frozen_networks, runner
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates
from softjpeg.learning.learn import learn
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.runner import run_passes
from softjpeg.learning.schedule import schedule


class InterruptionError(Exception):
    pass


def interrupt_after(monkeypatch, batches):
    """Each run from here on ends after so many batches are saved."""
    left, save = [batches], runner.save_checkpoint

    def saving(*arguments):
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            left[0] = batches
            raise InterruptionError

    monkeypatch.setattr(runner, "save_checkpoint", saving)


def until_done(run):
    """What a run gives in the end, and how often it was interrupted before."""
    for interruptions in range(1000):
        try:
            return run(), interruptions
        except InterruptionError:
            pass
    raise AssertionError("it never ends")


@pytest.mark.parametrize("batches", [1, 7])
def test_interrupted_anywhere_is_the_same(monkeypatch, tmp_path, batches):
    pair, x = [HighFrequencyReader(), HighFrequencyReader()], images(16, 16)
    options = {"max_drop": 10, "worst_case": True, "rounds": 2, "batch_size": 2}
    expected = learn(pair, x, subsampling="4:4:4", **options)
    interrupt_after(monkeypatch, batches)
    preset, interruptions = until_done(
        lambda: learn(pair, x, subsampling="4:4:4", checkpoint=tmp_path / "c", **options)
    )
    # Of 16 images, 8 batches: 4 for each pass, 11 tries of a search.
    assert interruptions == 4 * (len(schedule(2)) + 11) // batches
    assert preset.to_json() == expected.to_json()


class BrightnessPass(Pass):
    """Gathers the mean of every batch, and says their sum."""

    def batches(self, objective):
        return objective.measured

    def begin(self, state, objective, control):
        self.means = []

    def step(self, batch, state, objective, control):
        self.means.append(objective.images[batch].float().mean())

    def finish(self, state, objective, control):
        self.total = float(sum(self.means))
        return state

    def sentence(self, state, objective):
        return f"brightness {self.total:.1f} at {state.target_bpp} bpp"


def test_a_pass_of_ones_own(monkeypatch, tmp_path):
    x, said = images(24, 16), []
    objective = Objective(FrozenNetworks(HighFrequencyReader(), x), "4:4:4")
    control = RateControl(ImageRates(x, "4:4:4"))
    options = RunOptions(checkpoint=tmp_path / "c", log=said.append)
    interrupt_after(monkeypatch, 3)
    state, interruptions = until_done(
        lambda: run_passes(
            [BrightnessPass(target_bpp=9.0), BrightnessPass()], objective, control, options
        )
    )
    total = sum(float(x[part].float().mean()) for part in objective.measured)
    assert said == [f"brightness {total:.1f} at 9.0 bpp"] * 2
    assert (state.done, interruptions) == (8, 2)
    saved = torch.load(tmp_path / "c", weights_only=True)
    assert (saved["done"], saved["gathered"]) == (8, None)
    with pytest.raises(ValueError, match="is the checkpoint of another run"):
        run_passes([BrightnessPass(target_bpp=8.0)], objective, control, options)


def test_nothing_is_fingerprinted_without_a_checkpoint(monkeypatch, tmp_path):
    fingerprints, fingerprint = [], frozen_networks.fingerprint

    def counting(*parts):
        fingerprints.append(sum(isinstance(part, torch.Tensor) for part in parts))
        return fingerprint(*parts)

    for module in (frozen_networks, runner):
        monkeypatch.setattr(module, "fingerprint", counting)
    options = {"target_bpp": 15.0, "subsampling": "auto", "batch_size": 2}
    learn(HighFrequencyReader(), images(8, 16), **options)
    assert fingerprints == []
    learn(HighFrequencyReader(), images(8, 16), checkpoint=tmp_path / "c", **options)
    # The images and the network's only weight, once for all six files.
    assert sum(fingerprints) == 2
    assert len(fingerprints) == 7
