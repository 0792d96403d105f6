import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import noise, smooth_images
from softjpeg.adaptation.views import training_view, written
from softjpeg.codec.image import decode, encode
from softjpeg.models.preprocessing import Preprocessing
from softjpeg.presets.preset import Preset


def by_pillow(image, quality):
    """What Pillow's own quality makes of it."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "jpeg", quality=quality)
    with Image.open(file) as shown:
        return torch.from_numpy(np.array(shown)).permute(2, 0, 1)


def drawing(quality, hardness):
    """Default tables with one hardness for all coefficients."""
    preset = Preset.from_quality(quality)
    return replace(preset, hardness=np.full((2, 8, 8), hardness))


def views(image, preset, preprocessing, count=12):
    return [
        training_view(image, preset, preprocessing, np.random.default_rng(seed))
        for seed in range(count)
    ]


def test_written_files_are_pillows():
    image = smooth_images(1, 37, 50, grain=0.1)[0]
    assert torch.equal(written(image, Preset.from_quality(30)), by_pillow(image, 30))


@pytest.mark.parametrize("reads", [None, Preprocessing(32, crop=(32, 32))])
def test_drawn_files_are_those_of_a_seed_drawn_first(reads):
    image, preset = smooth_images(1, 32, 32, grain=0.1)[0], drawing(12, hardness=0.5)
    shown = set()
    for seed in range(6):
        random = np.random.default_rng(seed)
        original, view = training_view(image, preset, reads, random, "probabilistic")
        again = np.random.default_rng(seed)
        flip = again.random() < 0.5
        stored = (255 * original).round().byte() if reads is None else image
        file = encode(stored, preset, "probabilistic", seed=int(again.integers(1 << 31)))
        expected = decode(file) / 255
        assert torch.equal(view, expected.flip(-1) if flip and reads is not None else expected)
        assert not torch.equal(expected, decode(encode(stored, preset)) / 255)
        shown.add(file)
    assert len(shown) == 6


def test_photos_are_written_at_their_own_size_and_both_views_are_of_one_part():
    photo, preset = smooth_images(1, 60, 44, grain=0.1)[0], Preset.from_quality(25)
    reads = Preprocessing(32, crop=(24, 24), interpolation="bilinear")
    resized = [
        Preprocessing(32, interpolation="bilinear")(each[None] / 255)[0]
        for each in (photo, by_pillow(photo, 25))
    ]
    parts = set()
    for original, shown in views(photo, preset, reads):
        places = [
            (top, left, flip)
            for top in range(resized[0].shape[1] - 23)
            for left in range(resized[0].shape[2] - 23)
            for flip in (False, True)
            if torch.equal(
                original.flip(-1) if flip else original,
                resized[0][:, top : top + 24, left : left + 24],
            )
        ]
        assert len(places) == 1
        top, left, flip = places[0]
        assert torch.equal(
            shown.flip(-1) if flip else shown, resized[1][:, top : top + 24, left : left + 24]
        )
        parts.add(places[0])
    assert len(parts) > 8
    assert {flip for _, _, flip in parts} == {False, True}


def test_crops_are_moved_before_they_are_written():
    crop, preset = noise(1, 32)[0], Preset.from_quality(25)
    seen = set()
    for original, shown in views(crop, preset, None, 60):
        image = (255 * original).round().byte()
        assert torch.equal(original, image / 255)
        assert torch.equal(shown, by_pillow(image, 25) / 255)
        # Its middle is the crop's, moved by at most four pixels, perhaps mirrored.
        middle = (image.flip(-1), image)
        seen |= {
            (down, right, flip)
            for flip in (0, 1)
            for down in range(-4, 5)
            for right in range(-4, 5)
            if torch.equal(
                middle[1 - flip][:, 8:24, 8:24],
                crop[:, 8 + down : 24 + down, 8 + right : 24 + right],
            )
        }
    for place, moves in enumerate([range(-4, 5), range(-4, 5), range(2)]):
        assert {each[place] for each in seen} == set(moves)


@pytest.mark.parametrize("reads", [None, Preprocessing(20, crop=(16, 16))])
def test_originals_are_read_as_they_are(reads):
    for original, shown in views(noise(1, 24)[0], None, reads, 3):
        assert torch.equal(original, shown)


def test_files_that_show_fewer_pixels():
    photo = smooth_images(1, 61, 90, seed=1)[0]
    preset = replace(Preset.from_quality(98), short_side=40)
    assert tuple(written(photo, preset).shape) == (3, 40, 59)
    for original, shown in views(photo, preset, Preprocessing(32, crop=(28, 28))):
        assert original.shape == shown.shape == (3, 28, 28)
        assert (original - shown).abs().mean() < 0.02
    # Without a crop both are cut to what they have in common.
    sides = [s.shape for pair in views(photo, preset, Preprocessing(60)) for s in pair]
    assert {*sides} == {(3, 60, 88)}


@pytest.mark.parametrize(
    ("height", "width", "size"), [(24, 24, "20x20"), (24, 48, "40x20"), (48, 24, "20x40")]
)
def test_a_photo_smaller_than_the_crop(height, width, size):
    photo, reads = noise(1, 48)[0][:, :height, :width], Preprocessing(20, crop=(24, 24))
    with pytest.raises(ValueError, match=f"resized to {size} is smaller than the crop 24x24"):
        training_view(photo, None, reads, np.random.default_rng(0))


def test_parts_beside_the_centre_are_read_of_photos_stored_whole():
    photo, reads = smooth_images(1, 64, 128, seed=2, grain=0.2)[0], Preprocessing(64, crop=(48, 48))
    whole = Preset.from_quality(80)
    pairs = [views(photo, p, reads, 12) for p in (whole, replace(whole, center=0.5))]
    for (_, shown), (_, of_centre) in zip(*pairs, strict=True):
        assert torch.equal(shown, of_centre)
    assert (written(photo, whole) != written(photo, replace(whole, center=0.5))).any()
