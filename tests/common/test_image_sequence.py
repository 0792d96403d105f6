"""Sequences of images of any sizes, in memory and from files."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor, smooth_image
from softjpeg.common.image_files import ImageFiles
from softjpeg.common.image_sequence import in_place, pixel_count, same_size_groups


@pytest.fixture
def folder(tmp_path):
    sizes = [(20, 12), (12, 20), (20, 12), (33, 7)]
    for i, (height, width) in enumerate(sizes):
        smooth_image(height, width, seed=i).save(tmp_path / f"{i}.png")
    return tmp_path


def test_files_are_the_pixels_that_pillow_reads(folder):
    paths = sorted(folder.iterdir())
    images = ImageFiles(paths)
    assert len(images) == 4
    for image, path in zip(images, paths, strict=True):
        with Image.open(path) as picture:
            assert torch.equal(image, as_tensor(picture))
    assert [tuple(x.shape) for x in images[1:3]] == [(3, 12, 20), (3, 20, 12)]
    assert pixel_count(images) == 3 * 240 + 33 * 7


def test_what_is_held_is_bounded_and_the_same_image_again(folder):
    images = ImageFiles(sorted(folder.iterdir()), cache_bytes=1500)
    first = images[0]
    assert images[0] is first
    for image in images:
        assert image.nbytes <= 1500
    assert images._cache.held == sum(x.nbytes for x in images._cache.images.values()) <= 1500
    assert images[0] is not first
    assert torch.equal(images[0], first)
    # A part shares what is held.
    assert images[:2][0] is images[0]
    # The last one is held however large it is.
    large = ImageFiles(images.paths, cache_bytes=1)
    assert large[0] is large[0]
    assert large._cache.held == large[1].nbytes


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read as an image"):
        ImageFiles([tmp_path / "a.jpg"])[0]


def test_groups_and_back():
    generator = np.random.default_rng(0)
    sizes = [(8, 8), (8, 9), (8, 8), (9, 8), (8, 9)]
    batch = [torch.from_numpy(generator.integers(0, 9, (3, *size))) for size in sizes]
    groups = same_size_groups(batch)
    assert [places for places, _ in groups] == [[0, 2], [1, 4], [3]]
    for places, images in groups:
        for place, image in zip(places, images, strict=True):
            assert torch.equal(batch[place], image)
    sums = in_place([(places, images.flatten(1).sum(1)) for places, images in groups])
    assert sums.tolist() == [int(image.sum()) for image in batch]
    whole = torch.stack([batch[0], batch[2]])
    assert same_size_groups(whole)[0][1] is whole
