"""The images that training tested on: a limit draws from all of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.tiny_training import tiny_recipe, write_images
from softjpeg.training.held_out import held_out_images
from softjpeg.training.recipe_file import parse_recipe


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_images(root, test=30)
    return SimpleNamespace(recipe=parse_recipe(tiny_recipe(root), "test"), root=root)


def test_all_of_them_or_a_subset_that_the_seed_draws(trained):
    every = held_out_images(trained)
    paths = sorted((trained.root / "val").rglob("*.png"))
    wanted = np.stack([np.asarray(Image.open(path)) for path in paths])
    assert np.array_equal(every.pixels.permute(0, 2, 3, 1), wanted)
    assert every.labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    some, again, other = (held_out_images(trained, limit=9, seed=s) for s in (0, 0, 1))
    assert some.names == again.names != other.names
    # The first nine are all of one class.
    assert len(set(some.labels.tolist())) > 1
    for images in (some, other):
        places = [every.names.index(name) for name in images.names]
        assert places == sorted(set(places))
        assert torch.equal(images.pixels, every.pixels[places])
        assert torch.equal(images.labels, every.labels[places])
    assert held_out_images(trained, limit=99).names == every.names
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        held_out_images(trained, limit=0)
