"""What the exponent of adaptive quality is measured from: files, halves and networks by hand."""

import numpy as np
import torch
from torch import nn

from helpers.images import photos
from softjpeg.codec.image import decode, encode
from softjpeg.learning import size_exponent as module
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.losses import mse_loss
from softjpeg.learning.objective import Objective
from softjpeg.learning.size_exponent import exponent_on, measured_exponent
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
    # The public function makes the same measurement, from three rungs on.
    options = {"loss": mse_loss, "batch_size": 3}
    assert measured_exponent(models, pixels, presets, **options) == 0.5
    assert np.array_equal(asked[1][0], bits)
    assert np.array_equal(asked[1][1], losses)
    assert measured_exponent(models, pixels, presets[:2], **options) == 1.0
    assert len(asked) == 2
