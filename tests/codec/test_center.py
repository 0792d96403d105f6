"""What a centre crop never shows: outside the square the means of blocks, inside it everything."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor, smooth_image, smooth_images
from softjpeg import Ladder, Preset, encode
from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.center import center_box, means_outside
from softjpeg.codec.stored_size import stored_images
from softjpeg.jpeg.reader import read_coefficients


def storing(center, quality=40, **more):
    own = Preset.from_quality(quality)
    return Preset(own.luma, own.chroma, center=center, **more)


@pytest.mark.parametrize(
    ("size", "center", "box"),
    [
        # 337.5 pixels about (250, 187.5): 81.25 to 418.75 and 18.75 to 356.25.
        ((375, 500), 0.9, (80, 16, 432, 368)),
        ((500, 375), 0.9, (16, 80, 368, 432)),
        # 375 about 250: 62.5 to 437.5.
        ((375, 500), 1.0, (48, 0, 448, 375)),
        ((64, 64), 0.5, (16, 16, 48, 48)),
        ((64, 64), 1.0, (0, 0, 64, 64)),
        ((9, 1000), 1.0, (480, 0, 512, 9)),
        ((1, 1), 0.3, (0, 0, 1, 1)),
    ],
)
def test_the_square_by_hand(size, center, box):
    assert center_box(size, center) == box


def test_all_that_a_crop_of_that_share_shows_is_stored_whole():
    rng = np.random.default_rng(0)
    for _ in range(300):
        height, width = rng.integers(1, 700, 2)
        center = float(rng.uniform(0.05, 1))
        left, top, right, bottom = center_box((height, width), center)
        half = center * min(height, width) / 2
        assert left <= max(0, width / 2 - half) < left + 16
        assert top <= max(0, height / 2 - half) < top + 16
        assert right - 16 < min(width, width / 2 + half) <= right <= width
        assert bottom - 16 < min(height, height / 2 + half) <= bottom <= height


def test_outside_of_it_luma_has_a_mean_for_8_pixels_and_chroma_for_16():
    picture = smooth_image(150, 210, 3, cells=20, low=80, high=180)
    flat = means_outside(picture, 0.6)
    left, top, right, bottom = center_box((150, 210), 0.6)
    was, now = (np.asarray(p.convert("YCbCr"), float) for p in (picture, flat))
    assert np.array_equal(
        np.asarray(flat)[top:bottom, left:right], np.asarray(picture)[top:bottom, left:right]
    )
    outside = 0
    for y in range(0, 150, 8):
        for x in range(0, 210, 8):
            if left <= x < right and top <= y < bottom:
                continue
            outside += 1
            block = np.asarray(flat)[y : y + 8, x : x + 8].reshape(-1, 3)
            assert (block == block[0]).all()
            around = was[y // 16 * 16 :][:16, x // 16 * 16 :][:, :16].reshape(-1, 3).mean(0)
            mean = was[y : y + 8, x : x + 8, 0].mean()
            # RGB is rounded twice.
            assert now[y, x] == pytest.approx([mean, *around[1:]], abs=2.5)
    assert outside > 200


@pytest.mark.parametrize("mode", ["hard", "rdo", "probabilistic"])
def test_a_files_blocks_there_have_nothing_but_their_means(mode):
    picture = smooth_image(160, 240, 1, cells=30)
    preset = storing(0.5, 80)
    if mode == "rdo":
        one = np.ones((3, 8, 8))
        from softjpeg.presets.distortion_model import DistortionModel

        masking = np.array([[0.0, 9.0], [1.0, 1.0]])
        model = DistortionModel(one, 0 * one, np.ones((1, 1)), masking, 0.1)
        preset = storing(0.5, 80, distortion=model)
    read = read_coefficients(encode(picture, preset, mode, 0))
    left, top, right, bottom = center_box((160, 240), 0.5)
    for component, side in zip(read.components, (8, 16, 16), strict=True):
        ac = np.abs(np.array(component).reshape(*component.shape[:2], 64)[..., 1:]).sum(-1)
        inside = np.zeros(ac.shape, bool)
        inside[top // side : bottom // side, left // side : right // side] = True
        assert ac[inside].sum() > 0
        # Two luma means beside each other in one block of chroma round it by a level.
        assert ac[~inside].max() <= (0 if side == 8 else 1)


def test_the_file_is_that_of_the_picture_prepared():
    picture = smooth_image(150, 200)
    for short_side in (None, 80):
        smaller = picture if short_side is None else picture.resize((107, 80), 1)
        file = encode(means_outside(smaller, 0.7), Preset.from_quality(40))
        preset = storing(0.7, short_side=short_side)
        assert encode(picture, preset) == file
        assert encode(as_tensor(picture), preset) == file
        learned_on = stored_images([as_tensor(picture)], short_side, 0.7)[0]
        assert torch.equal(learned_on, as_tensor(means_outside(smaller, 0.7)))


def test_gray_and_images_that_are_all_centre():
    gray = smooth_image(100, 140).convert("L")
    with Image.open(io.BytesIO(encode(gray, storing(0.5)))) as shown:
        assert shown.mode == "L"
        pixels = np.asarray(shown)
    assert (pixels[:8, :8] == pixels[0, 0]).all()
    assert not (pixels[48:56, 64:72] == pixels[48, 64]).all()
    square = smooth_image(64, 64)
    assert means_outside(square, 1.0) is square
    assert means_outside(square, None) is square
    assert encode(square, storing(1.0)) == encode(square, storing(None))


def test_a_ladder_keeps_it_and_quality_by_image_counts_it():
    rungs = tuple(storing(0.5, q) for q in (20, 60))
    bpp = ((0, 0.05), (1, 0.2), (2, 0.5), (3, 2.0))
    default = ((1, 0.05), (20, 0.2), (60, 0.5), (100, 2.0))
    ladder = Ladder(rungs, bpp, default, scan_bpp=bpp, size_exponent=0.5)
    assert {ladder.at_position(p).center for p in (0, 1, 1.3, 1.7, 3)} == {0.5}
    assert Ladder.from_json(ladder.to_json()) == ladder
    whole = Ladder(
        tuple(storing(None, q) for q in (20, 60)), bpp, default, scan_bpp=bpp, size_exponent=0.5
    )
    picture = smooth_images(1, 160, 240, grain=0.2)[0]
    spared = AdaptiveQuality(ladder, 40)(Image.fromarray(picture.permute(1, 2, 0).numpy()))
    # What its margins would have cost is not counted: it passes for a plain image.
    prepared = means_outside(Image.fromarray(picture.permute(1, 2, 0).numpy()), 0.5)
    as_prepared = AdaptiveQuality(whole, 40)(prepared)
    assert spared.luma.tolist() == as_prepared.luma.tolist()
