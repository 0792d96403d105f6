"""What the bands' measurements make of the model: hand-made losses, and factors that replace."""

from dataclasses import replace

import pytest
import torch

from helpers.images import photos
from helpers.networks import HighFrequencyReader
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning.band_correction import SizedCoefficients, rate_factor, shifted_tables
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.band_pass import BandPass
from softjpeg.learning.rate_control import QuadraticModel, RateControl
from softjpeg.learning.state import Candidate, MeasuredGain, State

PICTURES = photos(16, 16)
TABLES = default_tables(50)


def finished(before, factor=1.0):
    """The two corrected models of a pass that measured what a sensitivity of 1 predicts."""
    objective = Objective(FrozenNetworks(HighFrequencyReader(), PICTURES, batch_size=2), "4:4:4")
    control = RateControl(ImageRates(PICTURES, "4:4:4"), rate_weight=0.1)
    model = QuadraticModel(torch.ones(3, 8, 8), torch.full((3, 8, 8), before))
    gain = MeasuredGain(1.0, 1.0, 1.0, 1.0, [[1.0, 1.0]])
    state = State(Candidate(TABLES, model, 0.1), scales=[1.0], gain=gain)
    one = BandPass()
    one.begin(state, objective, control)
    z = image_to_coefficients(PICTURES / 255, "4:4:4", rounding=True)
    losses = []
    for luma, chroma in shifted_tables(TABLES):
        squares = [
            ((c - torch.round(c / q) * q) ** 2).sum((1, 2, 3, 4)).mean()
            for c, q in zip(z, (luma, chroma, chroma), strict=True)
        ]
        losses.append([factor * 0.5 * float(sum(squares))])
    one.losses = [losses] * 4
    after = one.finish(state, objective, control)
    return [candidate.model for candidate in after.candidates[1:3]], z


@pytest.mark.parametrize("before", [1.0, 1.6])
def test_a_rate_factor_is_measured_anew_each_time(before):
    (whole, half), z = finished(before)
    wanted = rate_factor([SizedCoefficients(z, (16, 16))], TABLES, "4:4:4")
    assert torch.allclose(whole.rate_factor, wanted)
    # Half-way in log between the old one and the new one.
    assert torch.allclose(half.rate_factor, (before * wanted).sqrt())
    assert torch.allclose(whole.sensitivity, torch.ones(3, 8, 8), atol=0.02)


def test_sensitivities_are_corrected_all_the_way_and_half_way():
    (whole, half), _ = finished(1.0, factor=4.0)
    assert torch.allclose(whole.sensitivity, torch.full((3, 8, 8), 4.0), rtol=0.02)
    assert torch.allclose(half.sensitivity, torch.full((3, 8, 8), 2.0), rtol=0.02)


def test_it_moves_the_bands_on_the_measuring_half_about_what_was_chosen():
    objective = Objective(FrozenNetworks(HighFrequencyReader(), PICTURES, batch_size=2), "4:4:4")
    assert BandPass().batches(objective) == objective.measured
    control = RateControl(ImageRates(PICTURES, "4:4:4"), target_bpp=12.0)
    model = QuadraticModel(torch.ones(3, 8, 8), torch.ones(3, 8, 8))
    gain = MeasuredGain(1.0, 1.0, 1.0, 1.0, [[1.0, 1.0]])
    chosen = State(Candidate(TABLES, model, 0.1), gain=gain)
    one = BandPass()
    one.begin(chosen, objective, control)
    assert one.current.tables is TABLES
    # Nothing chosen at this rate yet: the model's optimum there.
    one.begin(replace(chosen, gain=None), objective, control)
    assert control.rates.bpp(one.current.tables) == pytest.approx(12.0, rel=0.03)
