"""The DCT against the sum that defines it, and SciPy's."""

import math

import pytest
import torch

from helpers import references
from helpers.ops import Case, OperatorTests, uniform
from softjpeg.functional import block_dct, block_idct


class TestBlockDct(OperatorTests):
    function, reference = staticmethod(block_dct), staticmethod(references.dct)
    cases = {
        "batch": Case((uniform(2, 3, 16, 24, low=-128, high=127),)),
        "one block": Case((uniform(1, 8, 8, low=-128, high=127),)),
    }


class TestBlockIdct(OperatorTests):
    function, reference = staticmethod(block_idct), staticmethod(references.idct)
    cases = {
        "batch": Case((uniform(2, 2, 3, 8, 8, low=-500, high=500),)),
        "planes": Case((uniform(2, 3, 1, 2, 8, 8, low=-500, high=500),)),
    }


def test_dct_is_the_defining_sum():
    x = torch.randn(8, 8, dtype=torch.float64)
    expected = torch.zeros(8, 8, dtype=torch.float64)
    for u in range(8):
        for v in range(8):
            scale = (1 / math.sqrt(2) if u == 0 else 1) * (1 / math.sqrt(2) if v == 0 else 1) / 4
            expected[u, v] = scale * sum(
                x[i, j]
                * math.cos((2 * i + 1) * u * math.pi / 16)
                * math.cos((2 * j + 1) * v * math.pi / 16)
                for i in range(8)
                for j in range(8)
            )
    assert torch.allclose(block_dct(x)[0, 0], expected)
    assert torch.allclose(block_idct(block_dct(x)), x)


def test_refusals():
    with pytest.raises(ValueError, match="multiples of 8, got 8x9"):
        block_dct(torch.zeros(8, 9))
