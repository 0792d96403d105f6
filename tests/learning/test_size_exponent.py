"""What the exponent of adaptive quality is measured from: files, halves and networks by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from helpers.images import photos
from softjpeg.codec.image import decode, encode
from softjpeg.learning import size_exponent as module
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.losses import mse_loss
from softjpeg.learning.objective import Objective
from softjpeg.learning.size_exponent import exponent_on, size_exponent
from softjpeg.presets.preset import Preset


class Scaled(nn.Module):
    """The pixels' means over columns, times a factor."""

    def __init__(self, factor, power=1):
        super().__init__()
        self.factor, self.power = factor, power

    def forward(self, x):
        return self.factor * x.mean((1, 2)) ** self.power


def scan_bits(data):
    """Of the bytes from the end of SOS to EOI."""
    at = data.index(b"\xff\xda")
    return 8 * (len(data) - 2 - at - 2 - int.from_bytes(data[at + 2 : at + 4], "big"))


def test_it_is_measured_on_the_judging_half_with_networks_balanced(monkeypatch):
    pixels = photos(16, 16)
    models = [Scaled(1.0), Scaled(30.0, 3)]
    objective = Objective(FrozenNetworks(models, pixels, loss=mse_loss, batch_size=3), "4:4:4")
    presets = [Preset.from_quality(q, "4:4:4") for q in (70, 20, 45)]
    asked = []
    monkeypatch.setattr(module, "size_exponent", lambda *given: asked.append(given) or 0.5)
    assert exponent_on(objective, presets) == 0.5
    ((bits, losses, area),) = asked

    # 16 images, batches of 2: the judging half are the last eight. Rungs by their size.
    judged = pixels[8:]
    files = [[encode(x, presets[i]) for x in judged] for i in (1, 2, 0)]
    wanted = np.array([[scan_bits(data) for data in row] for row in files], float)
    assert np.allclose(bits, np.maximum.accumulate(wanted))
    assert np.allclose(area, 1)
    of_network = np.zeros((2, 3, 8))
    for k, model in enumerate(models):
        for i, row in enumerate(files):
            for j, data in enumerate(row):
                shown = torch.from_numpy(np.asarray(decode(data)))[None].float() / 255
                off = model(shown) - model(judged[j : j + 1].float() / 255)
                of_network[k, i, j] = float((off.double() ** 2).mean())
    means = of_network.mean((1, 2))
    assert means[1] > 20 * means[0]
    balanced = (of_network * (means.mean() / means)[:, None, None]).mean(0)
    assert np.allclose(losses, balanced, rtol=1e-3)


@pytest.mark.parametrize("exponent", [1.0, 0.75, 0.5, 0.25])
def test_the_exponent_that_was_put_in_is_found(exponent):
    """Losses a_i/(p·b^p) are least in sum, at equal bits, where all a_i·b^-(p+1) are equal."""
    settings, weights = np.geomspace(0.05, 20, 33)[:, None], np.array([1.0, 2.0, 5.0, 13.0])
    bits = settings * weights
    # With b_i going as w_i^γ, a_i as w_i^(γ(p+1)) has its optimum there.
    p = 1.5
    losses = weights ** (exponent * (p + 1)) / bits**p
    assert size_exponent(bits, losses) == exponent


def test_images_of_several_sizes_count_by_their_area():
    """Bits per area: one image of nine areas must not be paid as one of a single area."""
    bits = np.geomspace(0.1, 10, 9)[:, None] * np.array([1.0, 8.0])
    losses, area = np.array([1.0, 3.0]) / bits, np.array([1.8, 0.2])

    def loss(exponent, setting):
        logs = np.log(bits)
        spread = exponent * (logs[setting] - logs[setting].mean())
        grid = np.linspace(logs.min() - 5, logs.max() + 5, 200_001)
        wanted = np.clip(grid[:, None] + spread, logs[0], logs[-1])
        paid = (area * np.exp(wanted)).mean(1)
        there = wanted[np.searchsorted(paid, (area * bits[setting]).mean())]
        return np.mean(
            [np.interp(w, x, y) for w, x, y in zip(there, logs.T, losses.T, strict=True)]
        )

    costs = {e: sum(math.log(loss(e, i)) for i in range(1, 8)) for e in module.EXPONENTS}
    assert size_exponent(bits, losses, area) == min(costs, key=costs.get)
    assert size_exponent(bits, losses, area) != size_exponent(bits, losses, area[::-1])
