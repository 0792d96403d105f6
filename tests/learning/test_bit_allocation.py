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


def test_always_zero_frequencies_get_the_largest_step():
    z = tuple(torch.zeros(1, 2, 2, 8, 8) for _ in range(3))
    luma, chroma = allocate(RateDistortion.measure(z), torch.ones(3, 8, 8), 1.0)
    assert luma.unique().tolist() == chroma.unique().tolist() == [255]


def test_allocation_prices_predicted_dc_and_each_components_own_blocks():
    """Chroma has a quarter of luma's blocks. The DC wanders slowly from block to block."""
    g = torch.Generator().manual_seed(5)
    luma = torch.randn(3, 4, 6, 8, 8, generator=g) * 30
    chroma = [torch.randn(3, 2, 3, 8, 8, generator=g) * 30 for _ in range(2)]
    z = (luma, *chroma)
    for plane in z:
        steps = torch.randn(len(plane), plane[0, ..., 0, 0].numel(), generator=g) * 8
        plane[..., 0, 0] = 300 + steps.cumsum(1).reshape(plane.shape[:3])
    curves = RateDistortion.measure(z)
    s = torch.tensor([2e-3, 8e-3, 5e-3])[:, None, None].expand(3, 8, 8)
    tables = allocate(curves, s, 0.05)
    for row, column in ((0, 0), (0, 1), (3, 2)):
        costs = np.zeros((3, len(STEPS)))
        for c, plane in enumerate(z):
            values = plane[..., row, column].double().numpy().reshape(3, -1)
            blocks = values.shape[1]
            coded = values
            if (row, column) == (0, 0):
                coded = np.stack([np.diff(image, prepend=0.0) for image in values])
            for n, q in enumerate(STEPS.tolist()):
                error = blocks * ((values - q * np.round(values / q)) ** 2).mean()
                bits = blocks * entropy(np.round(coded / q))
                costs[c, n] = 0.5 * float(s[c, 0, 0]) * error + 0.05 * bits
                assert float(curves.rate[c, n, 8 * row + column]) == pytest.approx(bits, abs=1e-3)
                assert float(curves.distortion[c, n, 8 * row + column]) == pytest.approx(
                    error, rel=1e-4, abs=1e-6
                )
        for table, cost in zip(tables, (costs[0], costs[1] + costs[2]), strict=True):
            chosen = cost[STEPS.tolist().index(int(table[row, column]))]
            assert chosen <= cost.min() * (1 + 2e-4)


def test_sensitivity_implied_by_a_known_curve():
    """D = q²/12 and R = -log2 q for each of n blocks: s = -2 R'/D' = 12/(ln 2 · q²)."""
    q = STEPS.double()
    distortion = (16 * q**2 / 12)[None, :, None].expand(3, -1, 64)
    rate = (16 * (20 - q.log2()))[None, :, None].expand(3, -1, 64)
    tables = torch.full((8, 8), 20), torch.full((8, 8), 50)
    curves = RateDistortion(distortion.float(), rate.float())
    implied = implied_sensitivity(curves, tables)
    for component, step in enumerate((20, 50, 50)):
        # Differences over 30 % each way, of steps that are there.
        low, high = (
            STEPS[torch.searchsorted(STEPS, round(step * f))].item() for f in (1 / 1.3, 1.3)
        )
        exact = 12 / np.log(2) / step**2
        secant = 2 * np.log2(high / low) / ((high**2 - low**2) / 12)
        assert torch.allclose(implied[component], torch.tensor(secant).float(), rtol=1e-3)
        assert secant == pytest.approx(exact, rel=0.1)
