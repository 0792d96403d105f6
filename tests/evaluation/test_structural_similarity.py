import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_msssim import ssim as msssim_library

from helpers.images import as_tensor, smooth_image
from helpers.networks import linear_reader
from softjpeg.codec.image import decode
from softjpeg.evaluation.encoders import default_jpeg, preset_encoder
from softjpeg.evaluation.gain import gains
from softjpeg.evaluation.points import RatePoint
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import load_json, save_json
from softjpeg.evaluation.structural_similarity import structural_similarity
from softjpeg.presets.preset import Preset


def photo(seed, height=40, width=52):
    return as_tensor(smooth_image(height, width, np.random.default_rng(seed)))


def luma(image):
    picture = Image.fromarray(image.permute(1, 2, 0).numpy()).convert("YCbCr")
    return torch.from_numpy(np.array(picture.getchannel(0)))[None, None].double()


def by_another_library(shown, image):
    return float(msssim_library(luma(shown), luma(image), data_range=255, nonnegative_ssim=False))


@pytest.mark.parametrize("noise", [2, 30])
def test_equals_another_library(noise):
    image = photo(0)
    random = torch.Generator().manual_seed(1)
    shown = image + noise * torch.randn(image.shape, generator=random)
    shown = shown.round().clamp(0, 255).byte()
    expected = by_another_library(shown, image)
    assert expected < 0.999
    assert structural_similarity(shown, image) == pytest.approx(expected, abs=1e-5)


def test_what_is_shown_shrunk_is_enlarged_bicubically():
    image = photo(2)
    small = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((26, 20))
    shown = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    enlarged = small.convert("YCbCr").getchannel(0).resize((52, 40), Image.Resampling.BICUBIC)
    both = [torch.from_numpy(np.array(enlarged))[None, None].double(), luma(image)]
    expected = float(msssim_library(*both, data_range=255, nonnegative_ssim=False))
    assert structural_similarity(shown, image) == pytest.approx(expected, abs=1e-5)


def test_an_image_below_the_window_has_none():
    image = photo(3, 10, 40)
    assert math.isnan(structural_similarity(image, image))


class TestEvaluate:
    @pytest.fixture(scope="class")
    @classmethod
    def points(cls):
        images = torch.stack([photo(seed, 24, 24) for seed in range(4)])
        network = linear_reader(24, 3, 5, 0)
        return evaluate(network, images, {}, qualities=[10, 60], ssim=True), images

    def test_points_hold_the_mean_over_images(self, points):
        measured, images = points
        assert [p.ssim for p in measured if p.mode == "none"] == [1.0]
        for quality, encoder in default_jpeg([10, 60], "4:2:0").items():
            each = [by_another_library(decode(encoder(image)), image) for image in images]
            point = next(p for p in measured if p.name == f"default q {quality}")
            np.testing.assert_allclose(point.images.ssim, each, atol=1e-5)
            assert point.ssim == pytest.approx(np.mean(each), abs=1e-5)

    def test_not_asked_for_it_is_not_there(self, points):
        _, images = points
        plain = evaluate(linear_reader(24, 3, 5, 0), images, {}, qualities=[10, 60])
        assert all(math.isnan(p.ssim) and p.images.ssim is None for p in plain)
        assert not [g for g in gains(plain, reference=[], resamples=2) if g.quality == "ssim"]

    def test_files_hold_it_and_files_from_before_lack_it(self, points, tmp_path):
        measured, _ = points
        path = tmp_path / "points.json"
        save_json(measured, path, {})
        again, _ = load_json(path)
        assert [p.ssim for p in again] == [p.ssim for p in measured]
        np.testing.assert_array_equal(again[1].images.ssim, measured[1].images.ssim)
        body = json.loads(path.read_bytes())
        for row in body["points"]:
            del row["ssim"], row["images"]["ssim"]
        path.write_text(json.dumps(body))
        before, _ = load_json(path)
        assert all(math.isnan(p.ssim) and p.images.ssim is None for p in before)
        assert [p.kl for p in before] == [p.kl for p in measured]

    def test_a_photo_below_the_window_is_left_out_of_the_mean(self):
        images = [photo(5, 24, 24), photo(6, 8, 8)]

        class Reader(torch.nn.Module):
            def forward(self, x):
                return x.mean((2, 3))

        (_, point) = evaluate(Reader(), images, {}, qualities=[10], ssim=True)
        shown = preset_encoder(Preset.from_quality(10))
        expected = structural_similarity(decode(shown(images[0])), images[0])
        assert point.ssim == pytest.approx(expected, abs=1e-5)


def test_gain_at_equal_ssim_by_hand():
    def point(curve, bpp, ssim):
        return RatePoint("p", "other", "", bpp, bpp, bpp, None, 0.5, 0.1, curve=curve, ssim=ssim)

    reference = [point("d", 1.0, 0.9), point("d", 4.0, 0.99)]
    # Half the bytes at the same 1 - SSIM, at both ends.
    mine = [point("m", 0.5, 0.9), point("m", 2.0, 0.99)]
    (gain,) = [
        g
        for g in gains(reference + mine, reference=["d"], resamples=0)
        if (g.quality, g.rate) == ("ssim", "bpp")
    ]
    assert gain.bd_rate.value == pytest.approx(-0.5)
    assert (gain.low, gain.high) == pytest.approx((0.9, 0.99))
    # 1 - SSIM falls by a factor 10 while the rate grows by 4: by 10^(1/2) at twice the rate.
    assert gain.bd_quality.value == pytest.approx(1 - 10**-0.5)
    assert gain.best_gain.value == pytest.approx(1 - 10**-0.5)
    assert gain.best_saving.value == pytest.approx(0.5)
    assert 0.9 <= gain.best_saving_at <= 0.99
