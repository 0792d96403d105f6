"""Tables at a λ or a rate, and blends of sensitivities, on curves with a formula."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.images import photos
from softjpeg.codec.image import encode
from softjpeg.jpeg.published_tables import published_tables
from softjpeg.learning.bit_allocation import STEPS, RateDistortion
from softjpeg.learning.image_rates import ImageRates, default_tables
from softjpeg.learning.rate_control import QuadraticModel, RateControl, _find_root
from softjpeg.presets.preset import Preset

PICTURES = photos(8, 16)


def formula(tables_of=lambda tables: 1.0, **options):
    """n blocks of ``D = q²/12`` and ``R = 20 - log2 q`` at every frequency."""
    q = STEPS.double()
    curves = RateDistortion(
        (16 * q**2 / 12)[None, :, None].expand(3, -1, 64).float(),
        (16 * (20 - q.log2()))[None, :, None].expand(3, -1, 64).float(),
    )
    rates = SimpleNamespace(curves=curves, pixels=100.0, bpp=tables_of)
    return RateControl(rates, **options)


def implied(step):
    """``-2 ΔR/ΔD`` between the steps that are there, 30 % each way."""
    low, high = (STEPS[torch.searchsorted(STEPS, round(step * f))].item() for f in (1 / 1.3, 1.3))
    return 2 * np.log2(high / low) * 12 / (high**2 - low**2)


def model(low=0.01, high=0.04, factor=1.0):
    """Sensitivities of two values, half of each."""
    s = torch.full((3, 8, 8), low)
    s[..., 4:] = high
    return QuadraticModel(s, torch.full((3, 8, 8), factor))


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_step_of_a_known_curve_goes_as_one_over_the_root_of_its_sensitivity(factor):
    """``½ s q²/12 - λ f log2 q`` is least at ``q² = 12 λ f / (s ln 2)``."""
    rate_weight = 50.0
    (luma, chroma), found = formula(rate_weight=rate_weight).solve(model(factor=factor))
    assert found == rate_weight
    for column, s in ((0, 0.01), (7, 0.04)):
        wanted = (12 * rate_weight / 100 * factor / s / np.log(2)) ** 0.5
        for table in (luma, chroma):
            assert table[:, column].double().numpy() == pytest.approx(wanted, rel=0.04)


def test_a_rate_is_reached_by_the_price_that_gives_it():
    """Bits per pixel that are a formula of the step: the λ of the step that has them."""
    control = formula(lambda tables: 100.0 / float(tables[0][0, 0]), target_bpp=4.0)
    (luma, _), rate_weight = control.solve(model(0.01, 0.01))
    assert float(luma[0, 0]) == pytest.approx(25, rel=0.05)
    # From q² = 12 λ/(s ln 2) of an image of 100 pixels.
    assert rate_weight == pytest.approx(25**2 * 0.01 * np.log(2) / 12 * 100, rel=0.12)


@pytest.mark.parametrize("share", [0.0, 0.35, 1.0])
def test_a_blend_goes_a_share_of_the_way_in_the_logarithm(share):
    control, start = formula(rate_weight=1.0), model(factor=1.5)
    luma, chroma = torch.full((8, 8), 16), torch.full((8, 8), 16)
    luma[0], chroma[0] = 40, 100
    blended, rate = control.blend(start, share, (luma, chroma))
    assert torch.equal(rate, start.rate_factor)
    towards = torch.full((3, 8, 8), implied(16))
    towards[0, 0], towards[1:, 0] = implied(40), implied(100)
    towards = towards.log() + (start.sensitivity.log().mean() - towards.log().mean())
    wanted = ((1 - share) * start.sensitivity.log() + share * towards).exp()
    assert torch.allclose(blended, wanted, rtol=1e-3)
    plain = control.blend(start, share)
    default = control.blend(start, share, default_tables(50))
    assert torch.equal(plain.sensitivity, default.sensitivity)


def test_default_and_published_tables_at_a_rate_in_bytes():
    control = RateControl(ImageRates(PICTURES, "4:4:4")).at(12.0)
    costs = {}
    for quality in range(1, 101):
        files = [encode(x, Preset.from_quality(quality, "4:4:4")) for x in PICTURES]
        costs[quality] = 8 * sum(map(len, files)) / PICTURES[:, 0].numel()
    first = min(quality for quality, cost in costs.items() if cost >= 12.0)
    for table, default in zip(control.default, default_tables(first), strict=True):
        assert torch.equal(table, default)
    assert control.rates.bpp(control.default) == pytest.approx(costs[first])
    published = control.published()
    assert len(published) == len(published_tables())
    for (luma, chroma), original in zip(published, published_tables().values(), strict=True):
        assert control.rates.bpp((luma, chroma)) == pytest.approx(12.0, rel=0.02)
        # One factor for both.
        scales = [
            np.median(table.double().numpy() / np.asarray(o, float))
            for table, o in zip((luma, chroma), original, strict=True)
        ]
        assert scales[0] == pytest.approx(scales[1], rel=0.15)
    assert control.at(None) is control
    assert (control.at(3.0).target_bpp, control.at(3.0).rate_weight) == (3.0, None)
    for bad in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"target_bpp must be positive and finite, got {bad}"):
            control.at(bad)


@pytest.mark.parametrize("root", [-9.3, -0.2, 0.0, 0.7, 11.5])
def test_the_root_of_a_falling_function_is_found_from_afar(root):
    tried = []

    def falling(x):
        tried.append(x)
        return np.sinh(root - x)

    _find_root(falling, -1.0, 1.0)
    assert min(abs(np.sinh(root - x)) for x in tried) < 0.05
    assert len(tried) <= 20


def test_a_root_that_is_not_there_ends():
    tried = []
    _find_root(lambda x: tried.append(x) or 1.0, -1.0, 1.0)
    assert len(tried) <= 12
    _find_root(lambda x: tried.append(x) or 0.0, -1.0, 1.0)
