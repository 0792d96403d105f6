"""The choice among measured candidates, against cases computed by hand."""

import numpy as np
import pytest
import torch

from softjpeg.learning.choice import choose


def chosen(losses, rates):
    rows = torch.tensor(losses, dtype=torch.float64)[..., None]
    return choose(rows, rates, 1.0)


def test_choice():
    clear = [[0.1, 0.5, 0.9], [0.2, 0.5, 0.9]]
    first, gain = chosen(clear, (1, 1, 1))
    assert (first, gain.bpp, gain.default_bpp) == (0, 1, 1)
    assert (gain.loss, gain.default_loss) == (pytest.approx(0.15), pytest.approx(0.9))
    assert chosen(clear, (1.5, 1, 1))[0] == 1
    noise = [[0.1, 0.5, 0.2], [0.4, 0.5, 0.31]]
    assert chosen(noise, (1, 1, 1))[0] == 2
    # The bolder candidate gains more on average, the other more surely.
    assert chosen([[0.0, 0.3, 0.5], [0.4, 0.3, 0.5]], (1, 1, 1))[0] == 1
    assert chosen([[0.3, 0.2]], (1, 1))[0] == 1


def test_choice_for_several_networks():
    """The first candidate halves one network's loss and raises the other's by a tenth."""
    losses = torch.tensor([[[0.05, 4.4], [0.09, 3.6], [0.1, 4.0]]] * 3, dtype=torch.float64)
    (average, mean), (worst, least) = (
        choose(losses, (1, 1, 1), 1.0, worst_case=w) for w in (False, True)
    )
    assert (average, worst) == (0, 1)
    # Each relative to its own, times the mean of both: (0.5 + 1.1) / 2 and 0.9 of 2.05.
    assert mean.loss == pytest.approx(0.8 * 2.05)
    assert least.loss == pytest.approx(0.9 * 2.05)
    assert np.allclose(least.networks, [[0.09, 0.1], [3.6, 4.0]])
