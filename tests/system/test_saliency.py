"""The benchmark's saliency maps, by finite differences, and files that follow them."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers.images import photos
from softjpeg import Preset, encode, read_coefficients
from softjpeg.codec.closed_loop.judge import Judge
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.network import Network

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.saliency import saliency_maps, salient_candidates


def judge_of(layers, name):
    return Judge((Network(layers, name),), parse_fidelity("top1"))


def test_saliency_by_finite_differences():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 24, 6), nn.Tanh(), nn.Linear(6, 5))
    image = (torch.rand(3, 16, 24) * 255).to(torch.uint8)
    (found,) = saliency_maps(judge_of(layers, "smooth"), [image])
    exact, double = image.double() / 255, layers.double()
    eye = torch.eye(image.numel(), dtype=torch.float64).reshape(-1, *image.shape) * 1e-4
    with torch.no_grad():
        best = int(double(exact[None]).argmax())
        up, down = (double(exact + sign * eye).log_softmax(-1)[:, best] for sign in (1, -1))
    slope = ((up - down) / 2e-4).reshape(image.shape).numpy()
    energy = (slope**2).sum(0).reshape(2, 8, 3, 8).sum((1, 3))
    smooth = [[energy[:, max(c - 1, 0) : c + 2].mean() for c in range(3)]] * 2
    np.testing.assert_allclose(found, smooth / np.mean(smooth), rtol=1e-3)
    layers.float()


def test_saliency_is_where_the_network_looks():
    torch.manual_seed(1)
    left = nn.Sequential(nn.ZeroPad2d((0, -24, 0, 0)), nn.Flatten(), nn.Linear(3 * 40 * 16, 4))
    images = list(photos(3, 40))
    for found in saliency_maps(judge_of(left, "left"), images, batch_size=2):
        assert tuple(found.shape) == (5, 5)
        assert float(found.mean()) == pytest.approx(1)
        assert (found[:, :2] > 0.1).all()
        assert not found[:, 3:].any()


@pytest.mark.parametrize("options", [{}, {"gray": True}])
def test_salient_files_spend_where_it_counts(options):
    """One tile everywhere, half of the image salient."""
    tile = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8))
    image = tile.repeat(1, 3, 4)
    saliency = torch.tensor([[2.0] * 4 + [0.0] * 4] * 6)
    presets = {"p": Preset.from_quality(25)}
    free, cheap, dear = salient_candidates(presets, saliency, [0, 0.05, 0.2], **options)
    assert dear.name == "p salient 0.2"
    plain = encode(image, presets["p"], mode=_rounded, **options)
    assert free.encode(image) == plain
    counts = []
    for candidate in (free, cheap, dear):
        luma = read_coefficients(candidate.encode(image)).components[0] != 0
        counts.append((int(luma[:, :4].sum()), int(luma[:, 4:].sum())))
    assert counts[0][0] == counts[0][1]
    for before, after in itertools.pairwise(counts):
        assert after[0] > after[1]
        assert after[0] <= before[0]
        assert after[1] < before[1]


def _rounded(coefficients, preset):
    tables = preset.luma, preset.chroma, preset.chroma
    return [
        torch.round(z / torch.from_numpy(t)).int()
        for z, t in zip(coefficients, tables, strict=False)
    ]
