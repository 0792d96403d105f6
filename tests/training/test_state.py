"""What of a run must be finite."""

import math

import pytest
import torch
from torch import nn

pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from softjpeg.training.state import State, is_finite


@pytest.mark.parametrize("name", ["0.weight", "0.running_mean", "0.running_var"])
def test_weights_and_running_statistics_must_be_finite_and_masks_need_not(name):
    model = nn.Sequential(nn.BatchNorm2d(2))
    model.register_buffer("mask", torch.tensor([0.0, -math.inf]))
    state = State(model, None, {})
    assert is_finite(state)
    with torch.no_grad():
        model.state_dict()[name][1] = math.nan
    assert not is_finite(state)
