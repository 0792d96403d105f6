import dataclasses
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor
from softjpeg.cli import demo_photos as photos
from softjpeg.cli import demo_steps as demo
from softjpeg.cli.demo_own_size import own_size_sentences
from softjpeg.evaluation.bootstrap import Estimate
from softjpeg.evaluation.gain import Gain

_HERE = find_spec("foolbox") is not None and find_spec("skimage") is not None
needs_photos = pytest.mark.skipif(not _HERE, reason="the demo's photos need softjpeg[demo]")


@needs_photos
def test_photos_are_found_without_importing_their_packages():
    before = set(sys.modules)
    found = photos.find_photos()
    assert len(found) == 25
    assert all(photo.path.is_file() for photo in found)
    assert sum(photo.label is not None for photo in found) == 20
    assert all(photo.label is None or 0 <= photo.label < 1000 for photo in found)
    assert not {"foolbox", "skimage"} & (set(sys.modules) - before)


@needs_photos
def test_no_photo_is_both_learned_from_and_held_out():
    found = photos.find_photos()
    learned, held_out = photos.split(found)
    assert not set(learned) & set(held_out)
    assert set(learned) | set(held_out) == set(found)
    contents = [{photo.path.read_bytes() for photo in part} for part in (learned, held_out)]
    assert not contents[0] & contents[1]
    assert sum(photo.label is not None for photo in held_out) == 10


@needs_photos
def test_crops_depend_on_the_seed_alone():
    chosen = photos.find_photos()[:2]
    for crops in (photos.learning_crops, photos.held_out_crops):
        a, b, c = crops(chosen, 3, 0), crops(chosen, 3, 0), crops(chosen, 3, 1)
        assert a.pixels.shape == (6, 3, 224, 224)
        assert a.pixels.dtype == torch.uint8
        assert torch.equal(a.pixels, b.pixels)
        assert not torch.equal(a.pixels, c.pixels)
        # A folder used again holds no file of an earlier seed.
        assert a.names == c.names
        assert len(set(a.names)) == 6


@needs_photos
def test_centre_crops_are_labelled_and_the_same_for_every_seed():
    chosen = [photos.find_photos()[0], photos.find_photos()[-1]]
    a, b = photos.held_out_crops(chosen, 3, 0), photos.held_out_crops(chosen, 3, 1)
    assert a.labels.tolist() == [chosen[0].label, -1, -1, -1, -1, -1]
    assert torch.equal(a.pixels[::3], b.pixels[::3])
    assert not torch.equal(a.pixels[1], b.pixels[1])


def square(tmp_path, width=500, height=300):
    """A photo whose red grows with the column and whose green with the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns * 255 / width, rows * 255 / height, 0 * rows], -1)
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photo.png")
    return photos.Photo(tmp_path / "photo.png", 7)


def test_centre_crops_are_efficientnets_own(tmp_path):
    crops = photos.held_out_crops([square(tmp_path)], 1, 0)
    with Image.open(tmp_path / "photo.png") as image:
        resized = image.resize((427, 256), Image.Resampling.BICUBIC)
        expected = as_tensor(resized.crop((101, 16, 325, 240)))
    assert torch.equal(crops.pixels[0], expected)
    assert (crops.names, crops.labels.tolist()) == (("photo-0",), [7])


def test_random_crops_are_squares_of_all_sizes_and_places_never_enlarged(tmp_path):
    crops = photos.learning_crops([square(tmp_path)], 200, 0)
    corners = []
    for i, pixels in enumerate(crops.pixels.float()):
        red, green = pixels[0], pixels[1]
        # Every second one is mirrored.
        red = red.flip(1) if i % 2 else red
        assert red[:, -1].mean() > red[:, 0].mean()
        left, top = 500 * red[:, 0].mean() / 255, 300 * green[0].mean() / 255
        right, bottom = 500 * red[:, -1].mean() / 255, 300 * green[-1].mean() / 255
        assert right - left == pytest.approx(bottom - top, abs=6)
        corners.append((float(left), float(top), float(right - left)))
    left, top, side = (np.array(each) for each in zip(*corners, strict=True))
    assert side.min() > 218
    assert side.min() < 230
    assert 290 < side.max() < 304
    assert left.min() < 12
    assert (left + side).max() > 486
    assert top.min() < 6
    assert (top + side).max() > 292
    assert crops.labels.tolist() == [-1] * 200


def test_missing_packages_are_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "skimage" else True)
    with pytest.raises(ModuleNotFoundError) as caught:
        demo.run(tmp_path / "out")
    assert str(caught.value) == ('the demo needs scikit-image: run pip install "softjpeg[demo]"')
    assert not (tmp_path / "out").exists()


def gain(reader, value, low, high, curve="universal"):
    nothing = Estimate(0.0, 0.0, 0.0)
    fields = {field.name: nothing for field in dataclasses.fields(Gain)}
    fields |= {"curve": curve, "reader": reader, "rate": "bpp", "quality": "kl"}
    return Gain(**(fields | {"bd_rate": Estimate(value, low, high)}))


def test_what_is_said_of_photos_at_their_own_size():
    measured = [
        gain("efficientnet-lite0", -0.22, -0.31, -0.137),
        gain("squeezenet1.1", -0.05, -0.21, 0.07),
        gain("another", 0.04, 0.01, 0.08),
        gain("efficientnet-lite0", -0.4, -0.51, -0.3, "universal-288"),
        gain("efficientnet-lite0", -0.5, -0.61, -0.4, "universal-288, center"),
    ]
    said = [s.partition(": the universal preset needs ") for s in own_size_sentences(measured, 25)]
    assert said[0][0].startswith("25 photos at their own size, read by efficientnet-lite0, which")
    assert [needs.partition(" than ")[0] for *_, needs in said] == [
        "22 % fewer bytes (14 to 31)",
        "5 % fewer bytes (from 21 % fewer to 7 % more)",
        "4 % more bytes (1 to 8)",
    ]
    assert said[0][2].endswith(
        "; with photos stored at a shorter side of 288, 40 % fewer bytes (30 to 51)"
        "; and their centre alone whole, 50 % fewer bytes (40 to 61)."
    )
