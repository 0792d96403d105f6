"""Adaptive quality: sizes on disk, and the exponent against a scan over all splits of the rate."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from softjpeg import Preset, encode
from softjpeg.codec.adaptive_quality import adapted
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.learning.measured_ladder import measured_ladder
from softjpeg.learning.size_exponent import size_exponent
from softjpeg.presets.ladder import Ladder


def photos() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(6, 3, 64, 64, generator=generator)
    waves = 60 * torch.sin(torch.arange(64.0) / 5)
    contrast = torch.tensor([2.0, 5, 10, 20, 35, 50]).reshape(-1, 1, 1, 1)
    return (128 + waves + contrast * noise).clamp(0, 255).to(torch.uint8)


def ladder(exponent: float) -> Ladder:
    rungs = [Preset.from_quality(q) for q in (10, 30, 50, 70, 90)]
    return measured_ladder(rungs, photos(), {}, size_exponent=exponent)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_sizes_are_drawn_together_by_the_exponent(exponent: float) -> None:
    made = ladder(exponent)

    def sizes(presets: list[Preset]) -> np.ndarray:
        pairs = zip(photos(), presets, strict=True)
        return np.log([scan_bytes(encode(image, preset)) for image, preset in pairs])

    plain = sizes([made.at(50)] * 6)
    found = sizes([adapted(made, image, 50) for image in photos()])
    assert plain.max() - plain.min() > 1
    slope = np.polyfit(plain, found, 1)[0]
    assert slope == pytest.approx(exponent, abs=0.06)
    # The mean of the plain files is where both meet.
    mean = np.log(np.exp(plain).mean())
    assert np.interp(mean, plain, found) == pytest.approx(mean, abs=0.12)


def test_sizes_of_photos_are_estimated_from_a_third_of_their_rows() -> None:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4, 3, 240, 320, generator=generator)
    waves = 60 * torch.sin(torch.arange(320.0) / 5) + torch.linspace(-30, 30, 240)[:, None]
    contrast = torch.tensor([4.0, 9, 20, 40]).reshape(-1, 1, 1, 1)
    images = (128 + waves + contrast * noise).clamp(0, 255).to(torch.uint8)
    made = ladder(0.5)
    positions, rates = zip(*made.scan_bpp, strict=True)
    for quality in (20, 50, 80):
        mean = np.exp(np.interp(made.position(quality), positions, np.log(rates)))
        for image in images:
            plain, found = (
                8 * scan_bytes(encode(image, preset)) / (240 * 320)
                for preset in (made.at(quality), adapted(made, image, quality))
            )
            assert found == pytest.approx((mean * plain) ** 0.5, rel=0.06)


def test_exponent_of_one_is_one_quality() -> None:
    made = ladder(1.0)
    assert made.scan_bpp == ()
    assert all(adapted(made, image, 35) == made.at(35) for image in photos())


def test_ladder_keeps_it(tmp_path) -> None:
    made = ladder(0.5)
    made.save(tmp_path / "ladder.json")
    again = Ladder.load(tmp_path / "ladder.json")
    assert again == made
    assert again.size_exponent == 0.5
    assert again.scan_bpp == made.scan_bpp


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("size_exponent", 1.5, "size_exponent must be from 0 to 1, got 1.5"),
        ("scan_bpp", [], "scan_bpp must be a list"),
    ],
)
def test_bad_values(field: str, value: object, words: str) -> None:
    body = json.loads(ladder(0.5).to_json())
    body[field] = value
    with pytest.raises(ValueError, match=words):
        Ladder.from_json(json.dumps(body))


@pytest.mark.parametrize("wanted", [1.0, 0.75, 0.5, 0.25])
def test_the_exponent_that_costs_are_made_for(wanted: float) -> None:
    """Losses of which that split of the rate is the optimum: a_i R^-1 with a_i = b_i^(2γ)."""
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(size=200))
    settings = 2.0 ** np.arange(-6, 7)[:, None]
    bits = settings * base
    losses = base ** (2 * wanted) / bits
    assert size_exponent(bits, losses) == wanted
    # Of images of several sizes, bits per pixel: the larger has more to lose, and more to pay.
    area = rng.uniform(0.2, 3.0, 200)
    assert size_exponent(bits, area * losses, area) == wanted


def test_an_image_of_another_size() -> None:
    made = dataclasses.replace(ladder(0.5))
    wide = torch.cat([photos()[2], photos()[2]], -1)
    one, two = (adapted(made, image, 40) for image in (photos()[2], wide))
    assert np.abs(np.log(one.luma / two.luma)).max() < 0.2
