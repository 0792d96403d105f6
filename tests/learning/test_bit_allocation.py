"""The parts of learning against brute force and hand-computed cases."""

import numpy as np
import pytest
import torch

from softjpeg.learning.band_correction import correct, shifted_tables
from softjpeg.learning.bit_allocation import STEPS, RateDistortion, allocate, implied_sensitivity
from softjpeg.learning.checkpoint import Candidate, State
from softjpeg.learning.passes import choose
from softjpeg.learning.sensitivity import pooled, sensitivity


def coefficients(count=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    scale = 60 / (1 + torch.arange(8)[:, None] + torch.arange(8)) ** 1.2
    return tuple(torch.randn(count, 4, 4, 8, 8, generator=g) * scale for _ in range(3))


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


def test_correction_is_measured_over_predicted():
    z, tables = coefficients(), (torch.full((8, 8), 12), torch.full((8, 8), 20))
    s = torch.full((3, 8, 8), 1e-3)
    predicted = []
    for luma, chroma in shifted_tables(tables):
        errors = [
            ((x - torch.round(x / q) * q) ** 2).sum((1, 2)).mean(0)
            for x, q in zip(z, (luma, chroma, chroma), strict=True)
        ]
        predicted.append(0.5 * float(sum((s[0] * e).sum() for e in errors)))
    losses = torch.tensor([predicted] * 5, dtype=torch.float64)
    same, rate = correct(losses, z, tables, s, (32, 32), "4:4:4")
    assert torch.allclose(same, torch.ones_like(same), atol=1e-3)
    assert ((rate >= 0.5) & (rate <= 2)).all()
    # The finest luma band costs half of what was predicted.
    moved = torch.tensor([float(luma[7, 7] > 12) for luma, _ in shifted_tables(tables)]) * 2 - 1
    slope = (losses[0] * moved).mean() * moved
    half = losses - slope / 2
    factors, _ = correct(half, z, tables, s, (32, 32), "4:4:4")
    assert factors[0, 7, 7] / factors[0, 0, 1] == pytest.approx(0.5, rel=0.02)
    # So it does on average here, but the batches disagree wildly.
    noisy = half.clone()
    noisy += torch.tensor([-1.0, 1.0, -1.0, 1.0, 0.0])[:, None] * 50 * slope
    shrunk, _ = correct(noisy, z, tables, s, (32, 32), "4:4:4")
    assert shrunk[0, 7, 7] / shrunk[0, 0, 1] == pytest.approx(1.0, rel=0.05)


class Rates:
    """Stands in for rate control: candidate i costs the i-th rate."""

    def __init__(self, *rates):
        self.rates = rates

    def bpp(self, tables):
        return self.rates[tables]


def chosen(losses, rates):
    candidates = [Candidate(i, (0, 0), 1.0) for i in range(len(rates))]
    rows = [[[loss] for loss in row] for row in losses]
    state = choose(State(0, candidates[0], candidates=candidates, losses=rows), Rates(*rates))
    return state.current.tables, state.verdict


def test_choice():
    clear = [[0.1, 0.5, 0.9], [0.2, 0.5, 0.9]]
    first, verdict = chosen(clear, (1, 1, 1))
    assert (first, verdict.bpp, verdict.default_bpp) == (0, 1, 1)
    assert (verdict.loss, verdict.default_loss) == (pytest.approx(0.15), pytest.approx(0.9))
    assert chosen(clear, (1.5, 1, 1))[0] == 1
    noise = [[0.1, 0.5, 0.2], [0.4, 0.5, 0.31]]
    assert chosen(noise, (1, 1, 1))[0] == 2
    # The bolder candidate gains more on average, the other more surely.
    assert chosen([[0.0, 0.3, 0.5], [0.4, 0.3, 0.5]], (1, 1, 1))[0] == 1
    assert chosen([[0.3, 0.2]], (1, 1))[0] == 1


def test_choice_for_several_networks():
    """The first candidate halves one network's loss and raises the other's by a tenth."""
    candidates = [Candidate(i, (0, 0), 1.0) for i in range(3)]
    rows = [[[0.05, 4.4], [0.09, 3.6], [0.1, 4.0]]] * 3
    state = State(0, candidates[0], candidates=candidates, losses=rows)
    average, worst = (choose(state, Rates(1, 1, 1), worst_case=w) for w in (False, True))
    assert (average.current.tables, worst.current.tables) == (0, 1)
    # Each relative to its own, times the mean of both: (0.5 + 1.1) / 2 and 0.9 of 2.05.
    assert average.verdict.loss == pytest.approx(0.8 * 2.05)
    assert worst.verdict.loss == pytest.approx(0.9 * 2.05)
    assert np.allclose(worst.verdict.networks, [[0.09, 0.1], [3.6, 4.0]])


def test_pooling_smooths_only_what_is_uncertain():
    field = torch.ones(3, 8, 8)
    field[0, 3, 3] = 4.0
    assert torch.allclose(pooled([field, field]), field)
    noisy = [field.clone(), field.clone()]
    noisy[0][0, 3, 3], noisy[1][0, 3, 3] = 0.1, 7.9
    assert 1.2 < pooled(noisy)[0, 3, 3] < 2.2


def test_sensitivity_of_a_linear_softmax_is_its_fisher_information():
    """Two classes, logits ±w·z of one luma coefficient: s = 4w²·p(1-p)."""
    weight = 0.05
    row = torch.cos((2 * torch.arange(8.0) + 1) * torch.pi / 16) / 2 / 8**0.5

    class Reader(torch.nn.Module):
        def forward(self, x):
            luma = torch.tensor([0.299, 0.587, 0.114])
            y = torch.einsum("bchw,c->bhw", x, luma) * 255 - 128
            z = torch.einsum("bhw,w->b", y, row)
            return torch.stack([weight * z, -weight * z], -1)

    g = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (400, 3, 8, 8), generator=g).to(torch.uint8)
    p = Reader()(x.float() / 255).softmax(-1)
    expected = (4 * weight**2 * p[:, 0] * p[:, 1]).mean()
    got = sensitivity(Reader(), x, generator=torch.Generator().manual_seed(1))
    assert got[0, 0, 1] == pytest.approx(float(expected), rel=0.1)
    assert got[0].flatten()[2:].max() < 1e-6 * got[0, 0, 1]
