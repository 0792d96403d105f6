"""Where tables start: means over the training images that the seed draws."""

import pytest
import torch

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.tiny_training import tiny_recipe, write_images
from softjpeg.nn.initial_tables import (
    image_statistics,
    tables_from_magnitude,
    tables_from_sensitivity,
)
from softjpeg.training import initialize
from softjpeg.training.build import build_network
from softjpeg.training.data.loader import batches
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.transforms import test_transform
from softjpeg.training.initialize import initial_tables
from softjpeg.training.recipe_file import parse_recipe


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_images(root)
    return root


def tables(images, monkeypatch, seed=0, **changes):
    monkeypatch.setattr(initialize, "_BATCH", 4)
    recipe = parse_recipe(tiny_recipe(images, **{"jpeg__init_images": 8, **changes}), "test")
    torch.manual_seed(0)
    reference = build_network(recipe, 3, None)
    split = open_split("folder", images, True)
    return initial_tables(recipe, split, reference, seed), recipe, split, reference


@pytest.mark.parametrize("init", ["sensitivity", "magnitude", "random"])
def test_the_seed_decides(images, monkeypatch, init):
    first, again, other = (tables(images, monkeypatch, s, jpeg__init=init)[0] for s in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_they_are_means_over_as_many_images_as_are_asked_for(images, monkeypatch):
    for init, name in (("sensitivity", 0), ("magnitude", 1)):
        found, recipe, split, reference = tables(images, monkeypatch, 5, jpeg__init=init)
        plain = test_transform(16, resize=None, interpolation="bilinear")
        drawn = list(batches(split, plain, batch_size=4, epoch=0, seed=5))[:2]
        rows = [
            image_statistics(reference, part.images, part.labels, recipe.jpeg.subsampling)[name]
            for part in drawn
        ]
        mean = (rows[0] + rows[1]) / 2
        wanted = (
            tables_from_magnitude(mean, recipe.jpeg.bits)
            if name
            else tables_from_sensitivity(mean, recipe.jpeg.q_max)
        )
        for a, b in zip(found, wanted, strict=True):
            assert torch.allclose(a, b)


def test_tables_that_need_no_image(images, monkeypatch):
    assert tables(images, monkeypatch, jpeg__init="ones")[0] is None
    luma, chroma = tables(images, monkeypatch, jpeg__quality=75)[0]
    # Annex K at libjpeg's quality 75.
    assert (luma[0, 0], luma[7, 7], chroma[0, 0], chroma[7, 7]) == (8, 50, 9, 50)
    random = tables(images, monkeypatch, jpeg__init="random", jpeg__q_max=3.0)[0]
    assert all(0.003 <= table.min() <= table.max() <= 3 for table in random)
