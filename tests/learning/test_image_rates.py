"""What images cost, from their files one by one."""

import numpy as np
import pytest
import torch

from helpers.images import photos
from softjpeg.codec.image import encode
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning.bit_allocation import RateDistortion
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.presets.preset import Preset

TABLES = torch.full((8, 8), 12), torch.full((8, 8), 33)


def bits(images, preset, mode="hard", seeds=None):
    seeds = seeds or [None] * len(images)
    sizes = [len(encode(x, preset, mode, seed=s)) for x, s in zip(images, seeds, strict=True)]
    return 8 * sum(sizes) / sum(x.shape[-2] * x.shape[-1] for x in images)


def test_bits_of_files_rounded_and_drawn():
    pixels = photos(20, 16)
    rates = ImageRates(pixels, "4:2:2")
    plain = Preset(*(t.numpy() for t in TABLES), subsampling="4:2:2")
    assert rates.bpp(TABLES) == pytest.approx(bits(pixels, plain))
    near = TABLES[0] + 0.4, TABLES[1] - 0.4
    assert rates.bpp(near) == rates.bpp(TABLES)
    assert rates.bpp((TABLES[1], TABLES[0])) != rates.bpp(TABLES)
    for hardness in (8.0, 200.0):
        drawn = Preset(plain.luma, plain.chroma, np.full((2, 8, 8), hardness), "4:2:2")
        wanted = bits(pixels[:16], drawn, "probabilistic", list(range(16)))
        assert rates.sampled_bpp(TABLES, hardness) == pytest.approx(wanted)


def test_images_of_several_sizes_count_by_their_pixels():
    pictures = [photos(1, 40, seed=i)[0, :, :h, :w] for i, (h, w) in enumerate([(16, 24), (31, 9)])]
    rates = ImageRates(pictures, "4:2:0")
    assert rates.pixels == (16 * 24 + 31 * 9) / 2
    plain = Preset(*(t.numpy() for t in TABLES), subsampling="4:2:0")
    assert rates.bpp(TABLES) == pytest.approx(bits(pictures, plain))
    # Of an image in the middle: as many blocks as both have, by half.
    curves = [
        RateDistortion.measure(image_to_coefficients(x[None] / 255, "4:2:0", rounding=True))
        for x in pictures
    ]
    both = (curves[0].distortion + curves[1].distortion) / 2
    assert torch.allclose(rates.curves.distortion, both, rtol=1e-4)


def test_many_images_are_sampled_evenly():
    pixels = photos(130, 8)
    rates = ImageRates(pixels, "4:4:4")
    assert torch.equal(rates.sample, pixels[::3])
    assert rates.pixels == 64


def test_the_lowest_quality_that_costs_as_much():
    rates = ImageRates(photos(4, 16), "4:4:4")
    costs = [rates.bpp(default_tables(q)) for q in range(1, 101)]
    for wanted in (costs[0], 12.0, 17.3, costs[-1]):
        first = next(q for q, cost in enumerate(costs, 1) if cost >= wanted)
        for found, table in zip(rates.default_reaching(wanted), default_tables(first), strict=True):
            assert torch.equal(found, table)
    assert torch.equal(rates.default_reaching(99.0)[0], default_tables(100)[0])
