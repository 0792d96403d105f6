"""Stored size: what Pillow's own resizing gives, never larger; the rest of the file as before."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor, smooth_image
from softjpeg import Ladder, Preset, decode, encode
from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.stored_size import stored_images, stored_size


@pytest.mark.parametrize(
    ("size", "short_side", "stored"),
    [
        ((375, 500), 256, (256, 341)),
        ((500, 375), 256, (341, 256)),
        ((375, 500), 375, (375, 500)),
        ((100, 100), 300, (100, 100)),
        ((1, 5000), 1, (1, 5000)),
        ((2, 5000), 1, (1, 2500)),
        ((375, 500), None, (375, 500)),
    ],
)
def test_the_shorter_side_decides_and_nothing_is_enlarged(size, short_side, stored):
    assert stored_size(size, short_side) == stored


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_the_file_is_that_of_the_picture_pillow_shrinks(mode):
    picture = smooth_image(150, 200)
    smaller = picture.resize((107, 80), Image.Resampling.LANCZOS)
    own = Preset.from_quality(40)
    shrinking = Preset(own.luma, own.chroma, short_side=80)
    assert encode(picture, shrinking, mode, 3) == encode(smaller, own, mode, 3)
    assert encode(as_tensor(picture), shrinking, mode, 3) == encode(smaller, own, mode, 3)
    gray = encode(picture, shrinking, gray=True)
    assert decode(gray).shape == (1, 80, 107)
    learned_on = stored_images([as_tensor(picture)], 80)[0]
    assert torch.equal(learned_on, as_tensor(smaller))


def test_what_a_pillow_picture_brings_along_is_kept():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    smooth_image(150, 200).save(buffer, "jpeg", exif=exif)
    with Image.open(buffer) as picture:
        data = encode(picture, Preset.from_quality(40, "4:4:4"))
        own = Preset.from_quality(40)
        small = encode(picture, Preset(own.luma, own.chroma, short_side=80))
    for file, size in ((data, (200, 150)), (small, (107, 80))):
        with Image.open(io.BytesIO(file)) as shown:
            assert shown.getexif()[0x0112] == 6
            assert shown.size == size


def test_a_ladder_goes_through_the_sizes_between_its_rungs():
    low, high = Preset.from_quality(20), Preset.from_quality(60)
    rungs = (
        Preset(low.luma, low.chroma, short_side=100),
        Preset(high.luma, high.chroma, short_side=144),
    )
    curves = ((0, 0.1), (1, 0.5), (2, 1.0), (3, 4.0)), ((1, 0.1), (20, 0.5), (60, 1.0), (100, 4.0))
    ladder = Ladder(rungs, *curves)
    assert [ladder.at_position(p).short_side for p in (0, 1, 1.5, 2, 3)] == [
        100,
        100,
        120,
        144,
        144,
    ]
    assert Ladder.from_json(ladder.to_json()) == ladder
    # Without a size of its own the nearer rung decides.
    mixed = Ladder((rungs[0], high), *curves)
    assert [mixed.at_position(p).short_side for p in (0, 1, 1.4, 1.6, 3)] == [100] * 3 + [None] * 2


def test_quality_by_image_counts_the_bits_of_what_is_stored():
    low, high = (Preset.from_quality(q) for q in (20, 60))
    rungs = tuple(Preset(p.luma, p.chroma, short_side=64) for p in (low, high))
    bpp = ((0, 0.05), (1, 0.2), (2, 0.5), (3, 2.0))
    default = ((1, 0.05), (20, 0.2), (60, 0.5), (100, 2.0))
    ladder = Ladder(rungs, bpp, default, scan_bpp=bpp, size_exponent=0.5)
    picture = smooth_image(128, 160)
    preset = AdaptiveQuality(ladder, 40)(picture)
    assert preset.short_side == 64
    shrunk = picture.resize((80, 64), Image.Resampling.LANCZOS)
    plain = Preset(preset.luma, preset.chroma)
    assert encode(picture, preset) == encode(shrunk, plain)


@pytest.mark.parametrize("value", [0, -3, 70000, 2.5, True, "256"])
def test_bad_sizes_are_refused_with_their_value(value):
    preset = Preset.from_quality(50)
    with pytest.raises(ValueError, match=f"short_side must be a whole .*, got {value!r}"):
        Preset(preset.luma, preset.chroma, short_side=value)


def test_json_has_the_size_only_where_there_is_one():
    own = Preset.from_quality(50)
    assert "short_side" not in own.to_json()
    small = Preset(own.luma, own.chroma, short_side=np.int64(256))
    assert '  "short_side": 256,\n' in small.to_json()
    assert Preset.from_json(small.to_json()) == small
    assert small != own
