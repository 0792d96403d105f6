"""Answers kept and lost, counted by hand: with labels and without, of one network and of two."""

from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.images import as_tensor
from softjpeg.codec.image import decode, encode
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import QUALITIES, ImageRates
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.drop_search import QualitySearch, RateSearch
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.runner import run_passes
from softjpeg.learning.state import first_state
from softjpeg.presets.preset import Preset


class StripeReader(nn.Module):
    """0 for an image whose neighbouring columns differ, 1 for another."""

    def __init__(self, least=0.03):
        super().__init__()
        self.least = least

    def forward(self, x):
        stripes = (x[..., ::2] - x[..., 1::2]).mean((1, 2, 3)).abs() - self.least
        return torch.stack([stripes, -stripes], 1)


def picture(amplitude):
    """Vertical stripes so far above and below gray."""
    row = 128 + amplitude * (-1) ** np.arange(16)
    return as_tensor(Image.fromarray(np.tile(row, (16, 1)).astype(np.uint8)).convert("RGB"))


# The judging half: five with stripes, three without; the first half has none.
AMPLITUDES = [0] * 8 + [12, 12, 12, 12, 12, 0, 0, 0]
PICTURES = torch.stack([picture(a) for a in AMPLITUDES])
# One with stripes is called plain, one without is called striped.
LABELS = torch.tensor([1] * 8 + [0, 0, 0, 0, 1, 1, 1, 0])
FINE, COARSE = ((torch.full((8, 8), q),) * 2 for q in (1, 255))


def objective(models=None, labels=None, **options):
    networks = FrozenNetworks(models or StripeReader(), PICTURES, labels, batch_size=2)
    return Objective(networks, "4:4:4", **options)


def count(given, tables):
    kept = [given.kept_answers(part, tables) for part in given.judged]
    return torch.tensor(kept).sum(0).tolist()


def test_right_answers_count_where_labels_are_given_else_the_networks_own():
    own, labelled = objective(), objective(labels=LABELS)
    assert own.kept_uncompressed() == [8]
    assert (count(own, FINE), count(own, COARSE)) == ([8], [3])
    # Four stripes and two plain ones are right; without stripes, two plain and the one misnamed.
    assert labelled.kept_uncompressed() == [6]
    assert (count(labelled, FINE), count(labelled, COARSE)) == ([6], [3])


@cache
def rates():
    return ImageRates(PICTURES, "4:4:4")


def searched(given, max_drop):
    control = RateControl(rates())
    return run_passes([QualitySearch(max_drop)], given, control, RunOptions())


@pytest.mark.parametrize(("labels", "points"), [(None, 100 * 5 / 8), (LABELS, 100 * 3 / 8)])
def test_the_lowest_quality_that_keeps_the_answers(labels, points):
    given = objective(labels=labels)
    keeps = []
    for quality in QUALITIES:
        preset = Preset.from_quality(quality, "4:4:4")
        shown = decode(encode(PICTURES[8], preset))
        keeps.append(bool(StripeReader()(shown[None].float() / 255).argmax() == 0))
    first = keeps.index(True)
    assert all(keeps[first:])
    assert 3 < first < len(QUALITIES) - 3
    for allowed, wanted, lost in ((points - 1, first, 0.0), (points, 0, points)):
        state = searched(given, allowed)
        preset = Preset.from_quality(QUALITIES[wanted], "4:4:4")
        size = sum(len(encode(image, preset)) for image in PICTURES)
        assert state.default_bpp == pytest.approx(8 * size / PICTURES[:, 0].numel())
        assert state.drop == pytest.approx(lost)


@pytest.mark.parametrize(("worst_case", "points"), [(False, 31.25), (True, 62.5)])
def test_of_two_networks_the_mean_or_the_most_is_lost(worst_case, points):
    pair = [StripeReader(), StripeReader(least=-1)]  # The second one always says 0.
    given = objective(pair, worst_case=worst_case)
    assert searched(given, points).drop == pytest.approx(points)
    assert searched(given, points - 0.1).drop < points - 0.1
    assert replace(given, worst_case=True).kept_uncompressed() == [8, 8]


@pytest.mark.parametrize(
    ("learned", "default", "kept"),
    [
        # (bits per pixel, points lost) of what was learned and of default JPEG; 2 may be lost.
        ((8.0, 1.0), (9.0, 2.0), True),
        ((9.5, 1.0), (9.0, 2.0), False),
        ((9.0, 2.0), (9.0, 2.0), True),
        ((8.0, 3.0), (9.0, 2.0), False),
        ((8.0, 3.0), (9.0, 4.0), True),
        ((9.5, 2.0), (9.0, 4.0), True),
    ],
)
def test_default_tables_stay_where_learning_gained_no_bytes(learned, default, kept):
    priced, state = copy(rates()), first_state()
    priced.bpp = lambda tables: learned[0] if tables is FINE else 9.0
    control = RateControl(priced)
    search = RateSearch(2.0)
    search.candidate = replace(state.current, tables=FINE)
    search.drops = [99.0] * 5 + [learned[1]]
    state = replace(state, default_bpp=default[0], drop=default[1])
    found = search.finish(state, objective(), control)
    assert found.current.is_default != kept
    assert (found.target_bpp, found.drop) == (learned if kept else default)
