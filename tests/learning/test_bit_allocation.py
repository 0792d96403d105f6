"""Bit allocation against brute force."""

import numpy as np
import pytest
import torch

from helpers.images import coefficients
from softjpeg.learning.bit_allocation import STEPS, RateDistortion, allocate, implied_sensitivity


def entropy(index):
    _, counts = np.unique(index, return_counts=True)
    p = counts / counts.sum()
    return -(p * np.log2(p)).sum()


@pytest.mark.parametrize("weight", [0.01, 1.0])
def test_allocation_is_the_exhaustive_search(weight):
    z = coefficients()
    s = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(1)) * 0.01
    luma, chroma = allocate(RateDistortion.measure(z), s, weight)
    for row, column in ((1, 0), (2, 3), (5, 5)):
        costs = []
        for q in STEPS.tolist():
            cost = []
            for c in range(3):
                values = z[c][..., row, column].double().numpy().ravel()
                index = np.round(values / q)
                error = 16 * ((values - q * index) ** 2).mean()
                cost.append(0.5 * s[c, row, column].item() * error + weight * 16 * entropy(index))
            costs.append((cost[0], cost[1] + cost[2]))
        for table, kind in ((luma, 0), (chroma, 1)):
            of_steps = np.array([cost[kind] for cost in costs])
            chosen = of_steps[STEPS.tolist().index(int(table[row, column]))]
            assert chosen <= of_steps.min() * (1 + 2e-4)


def test_implied_sensitivity_inverts_allocation():
    curves = RateDistortion.measure(coefficients(40))
    s = torch.full((3, 8, 8), 0.02)
    implied = implied_sensitivity(curves, allocate(curves, s, 1.0))[:, :4, :4]
    # NaN where its step leaves nothing to code.
    assert (~implied.isnan()).sum() >= 15
    assert (implied / 0.02).log().abs().nanmean() < 0.35


def test_always_zero_frequencies_get_the_largest_step():
    z = tuple(torch.zeros(1, 2, 2, 8, 8) for _ in range(3))
    luma, chroma = allocate(RateDistortion.measure(z), torch.ones(3, 8, 8), 1.0)
    assert luma.unique().tolist() == chroma.unique().tolist() == [255]
