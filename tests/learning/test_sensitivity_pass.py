"""What the sensitivity pass draws, and how it weighs several networks."""

from dataclasses import replace

import torch

from helpers.images import photos
from helpers.networks import linear_reader
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.sensitivity_pass import SensitivityPass
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.state import first_state

PICTURES = photos(16, 16)


def objective(count=1, **options):
    models = [linear_reader(16, 4, 5, seed) for seed in range(count)]
    return Objective(FrozenNetworks(models, PICTURES, batch_size=2), "4:4:4", **options)


def gradients(given, done=1):
    one, state = SensitivityPass(), replace(first_state(), done=done)
    control = RateControl(ImageRates(PICTURES, "4:4:4"), rate_weight=0.1)
    one.begin(state, given, control)
    one.step(given.measured[0], state, given, control)
    return one.gradients[0]


def test_draws_are_the_seeds_and_the_batchs_own():
    first = gradients(objective())
    assert torch.equal(first, gradients(objective()))
    assert not torch.equal(first, gradients(objective(seed=1)))
    assert not torch.equal(first, gradients(objective(), done=2))
    # The seed and the count of batches do not run into each other.
    assert not torch.equal(gradients(objective(seed=1), 1), gradients(objective(seed=0), 2))
    assert not torch.equal(gradients(objective(seed=1), 2), gradients(objective(seed=2), 1))


def test_it_looks_at_the_measuring_half():
    given = objective()
    assert SensitivityPass().batches(given) == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)]
    assert given.judged == [slice(8, 10), slice(10, 12), slice(12, 14), slice(14, 16)]


def test_a_network_that_loses_much_counts_as_much_as_one_that_loses_little():
    given, state = objective(2), first_state()
    control = RateControl(ImageRates(PICTURES, "4:4:4"), rate_weight=0.1)
    one = SensitivityPass()
    one.begin(state, given, control)
    for part in given.measured:
        one.step(part, state, given, control)
    # Measured behind the default tables, for each of four batches.
    assert torch.tensor(one.default_losses).shape == (4, 2)
    wanted = [given.losses(part, [control.default])[0] for part in given.measured]
    assert one.default_losses == wanted
    one.gradients = [torch.stack([torch.full((3, 8, 8), g) for g in (2.0, 16.0)]).double()] * 2
    one.default_losses = [[0.5, 3.0], [1.5, 5.0]]
    found = one.finish(state, given, control)
    assert found.scales == [1.0, 4.0]
    # The losses' mean is 2.5: (2.5·2 + 2.5/4·16) / 2; unweighted it would be 9.
    assert torch.allclose(found.candidates[0].model.sensitivity, torch.full((3, 8, 8), 7.5))
