"""Sums of several networks and of images of several sizes, by their definition and by hand."""

import pytest
import torch
from torch.testing import assert_close

from softjpeg.learning.gradient_moments import GradientMoments, gradient_moments


def drawn(seed=0, rows=3, columns=4, images=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (images, rows, columns, 8, 8)
    z, g = ([torch.randn(shape, generator=generator) * 40 for _ in range(3)] for _ in "zg")
    return z, g, torch.rand(8, 8, generator=generator) + 0.5


@pytest.mark.parametrize("weight", [0.25, 3.0])
def test_a_weighted_network_has_gradients_as_much_longer_as_the_root(weight):
    z, g, luma = drawn()
    wanted = gradient_moments(z, [x.double() * weight**0.5 for x in g], luma)
    before = gradient_moments(z, g, luma)
    found = before.weighted(weight)
    assert_close(found.products, wanted.products)
    assert_close(found.place, wanted.place)
    assert_close(found.contrast, wanted.contrast)
    assert found.images == 2
    # What it was made of is as it was.
    assert_close(before.contrast, gradient_moments(z, g, luma).contrast)


def test_the_sum_of_two_sizes_has_the_finer_grid():
    coarse = torch.tensor([[1.0, 2.0]])
    fine = torch.tensor([[10.0, 20.0, 30.0, 40.0], [50.0, 60.0, 70.0, 80.0]])
    first, second = (
        GradientMoments(torch.ones(6, 8, 8), place, torch.ones(2, 4), count)
        for place, count in ((coarse, 1), (fine, 5))
    )
    wanted = torch.tensor([[11.0, 21.0, 32.0, 42.0], [51.0, 61.0, 72.0, 82.0]])
    for found in (first + second, second + first):
        assert_close(found.place, wanted)
        assert_close(found.products, torch.full((6, 8, 8), 2.0))
        assert_close(found.contrast, torch.full((2, 4), 2.0))
        assert found.images == 6
