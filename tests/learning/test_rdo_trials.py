"""What the mode "rdo" is learned and judged on: halves, seeds and costs, by hand."""

from dataclasses import replace

import pytest
import torch

from helpers.images import photos
from helpers.networks import linear_reader
from softjpeg.codec.image import decode, encode
from softjpeg.learning import rdo_trials
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates
from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import QuadraticModel, RateControl
from softjpeg.learning.rdo_trials import STRENGTHS, best_trials
from softjpeg.learning.state import Candidate, MeasuredGain, RateResult
from softjpeg.presets.preset import Preset

TABLES = torch.full((8, 8), 24), torch.full((8, 8), 40)


def learned(pixels, target_bpp=9.0, seed=0, **options):
    network = linear_reader(16, 4, 5)
    objective = Objective(FrozenNetworks(network, pixels, batch_size=2), "4:4:4", seed, **options)
    control = RateControl(ImageRates(pixels, "4:4:4"), target_bpp=target_bpp)
    model = QuadraticModel(torch.full((3, 8, 8), 1e-4), torch.ones(3, 8, 8))
    gain = MeasuredGain(1.0, 9.0, 1.0, 9.0, [[1.0, 1.0]])
    result = RateResult(control, Candidate(TABLES, model, 0.01), gain)
    return network, objective, result


def test_files_of_the_judging_half_are_what_a_trial_costs():
    pixels = photos(16, 16)
    network, objective, result = learned(pixels)
    (trial,) = best_trials(objective, [result])
    tables = [t.numpy() for t in trial.tables]
    preset = Preset(*tables, subsampling="4:4:4", distortion=trial.distortion)
    mode = "rdo" if trial.distortion.rate_weight else "hard"

    def costs(images, preset, mode):
        files = [encode(image, preset, mode) for image in images]
        shown = torch.stack([torch.as_tensor(decode(data)) for data in files])
        with torch.no_grad():
            wanted, found = (
                network(x.float() / 255).double().log_softmax(-1) for x in (images, shown)
            )
        kl = (wanted.exp() * (wanted - found)).sum(-1).mean()
        return float(kl), 8 * sum(map(len, files)) / images[:, 0].numel()

    loss, bpp = costs(pixels[8:], preset, mode)
    assert (trial.loss, trial.bpp) == (pytest.approx(loss, rel=1e-4), pytest.approx(bpp))
    plain_loss, plain_bpp = costs(
        pixels[8:], Preset(*(t.numpy() for t in TABLES), subsampling="4:4:4"), "hard"
    )
    more = (loss + 0.01 * bpp - plain_loss - 0.01 * plain_bpp) / (0.01 * plain_bpp)
    assert trial.cost == pytest.approx(more, abs=1e-6)
    assert trial.cost <= 0
    share = trial.distortion.rate_weight / (0.01 / 256)
    assert min(abs(share - strength) for strength in STRENGTHS) < 1e-6


def moments_of(pixels, **options):
    _, objective, result = learned(pixels, **options)
    (trial,) = best_trials(objective, [result])
    return trial.distortion


def test_the_model_is_of_the_measuring_half_and_of_the_seed():
    pixels = photos(16, 16)
    first = moments_of(pixels)
    other = pixels.clone()
    other[8:] = photos(8, 16, seed=5)
    assert (moments_of(other).position == first.position).all()
    changed = pixels.clone()
    changed[:8] = photos(8, 16, seed=5)
    assert (moments_of(changed).position != first.position).any()
    assert (moments_of(pixels, seed=1).position != first.position).any()


def test_one_combination_is_chosen_for_all_rates(monkeypatch):
    pixels = photos(16, 16)
    _, objective, result = learned(pixels)
    # Costs of (combination, rate): the sums are 0, -3 and -2.
    costs = {"learned, 0.0 λ": (0.0, 0.0), "learned, 0.25 λ": (1.0, -4.0), "other": (-5.0, 3.0)}
    rates = iter(range(2))

    def trials(_, result, moments):
        k = next(rates)
        return {name: replace(some, cost=each[k], loss=k) for name, each in costs.items()}

    (some,) = best_trials(objective, [result])
    monkeypatch.setattr(rdo_trials, "_trials", trials)
    assert [t.cost for t in best_trials(objective, [result] * 2)] == [1.0, -4.0]
