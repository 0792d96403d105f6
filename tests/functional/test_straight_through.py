"""What a decoder does exactly and a gradient should not notice."""

import numpy as np
import pytest
import torch

from helpers.ops import Case, OperatorTests, uniform
from softjpeg.functional.straight_through import clamp, round_half_up

X = uniform(3, 4, low=-3, high=3)


class TestRoundHalfUp(OperatorTests):
    function = staticmethod(round_half_up)
    reference = staticmethod(lambda x: np.floor(x + 0.5))
    cases = {"numbers": Case((X,), smooth=False), "ties": Case((X.round() / 2,), smooth=False)}


class TestClamp(OperatorTests):
    function, reference = staticmethod(clamp), staticmethod(lambda x, low, high: x.clip(low, high))
    cases = {"numbers": Case((X,), {"low": -1.0, "high": 2.0}, smooth=False)}


@pytest.mark.parametrize("function", [round_half_up, lambda x: clamp(x, -1, 1)])
def test_gradient_is_one(function):
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x).sum(), x)
    assert gradient.unique().tolist() == [1.0]
