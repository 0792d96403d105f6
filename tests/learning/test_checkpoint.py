"""A checkpoint belongs to one run: everything that its result depends on tells it from others."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from helpers.images import photos
from helpers.networks import HighFrequencyReader
from softjpeg.learning.checkpoint import fingerprint
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.image_rates import ImageRates
from softjpeg.learning.losses import cosine_loss, mse_loss
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.drop_search import QualitySearch
from softjpeg.learning.passes.sensitivity_pass import SensitivityPass
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.runner import run_passes


def networks(pixels, **options):
    return FrozenNetworks(HighFrequencyReader(), pixels, **{"batch_size": 2, **options})


def test_a_checkpoint_of_any_other_run_is_refused(tmp_path):
    pixels = photos(16, 16)
    control = RateControl(ImageRates(pixels, "4:4:4"), rate_weight=0.1)
    objective = Objective(networks(pixels), "4:4:4")
    passes, options = [SensitivityPass()], RunOptions(checkpoint=tmp_path / "c")
    run_passes(passes, objective, control, options)
    run_passes([SensitivityPass()], objective, control, options)
    labels = torch.zeros(16, dtype=torch.long)
    other = photos(16, 16, seed=1)
    for others in (
        (passes, replace(objective, seed=1), control),
        (passes, replace(objective, worst_case=True), control),
        (passes, replace(objective, subsampling="4:2:0"), control),
        (passes, replace(objective, networks=networks(pixels, batch_size=1)), control),
        (passes, replace(objective, networks=networks(pixels, labels=labels)), control),
        (passes, replace(objective, networks=networks(pixels, loss=mse_loss)), control),
        (passes, replace(objective, networks=networks(other)), control),
        (passes, objective, replace(control, rate_weight=0.2)),
        ([SensitivityPass(target_bpp=3.0)], objective, control),
        ([SensitivityPass()] * 2, objective, control),
        ([QualitySearch(1.0)], objective, control),
    ):
        with pytest.raises(ValueError, match="is the checkpoint of another run"):
            run_passes(*others, options)


def test_losses_of_ones_own_are_told_apart_and_so_are_limits(tmp_path):
    pixels = photos(8, 16)
    model = nn.Sequential(HighFrequencyReader(), nn.Tanh())
    control, options = (
        RateControl(ImageRates(pixels, "4:4:4")),
        RunOptions(checkpoint=tmp_path / "c"),
    )
    first, second = (
        Objective(FrozenNetworks(model, pixels, loss=loss), "4:4:4")
        for loss in (mse_loss, cosine_loss)
    )
    run_passes([SensitivityPass(target_bpp=9.0)], first, control, options)
    with pytest.raises(ValueError, match="is the checkpoint of another run"):
        run_passes([SensitivityPass(target_bpp=9.0)], second, control, options)
    options = RunOptions(checkpoint=tmp_path / "d")
    counted = Objective(networks(pixels), "4:4:4")
    run_passes([QualitySearch(1.0)], counted, control, options)
    with pytest.raises(ValueError, match="is the checkpoint of another run"):
        run_passes([QualitySearch(2.0)], counted, control, options)


def test_a_fingerprint_tells_type_shape_and_place_apart():
    numbers = torch.arange(6, dtype=torch.int32)
    parts = [
        (numbers,),
        (numbers.view(2, 3),),
        (numbers.view(3, 2),),
        (numbers.view(torch.float32),),
        (numbers[:3], numbers[3:]),
        (numbers + 1,),
        (None,),
        ("a",),
        ("a", "b"),
        ("b", "a"),
    ]
    assert len({fingerprint(*part) for part in parts}) == len(parts)
    assert fingerprint(numbers.clone(), "a") == fingerprint(numbers, "a")
