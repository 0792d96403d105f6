"""Where the tables of a recipe start: statistics of training images, or constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from softjpeg.jpeg.tables import quality_tables
from softjpeg.nn.initial_tables import (
    feature_statistics,
    image_statistics,
    random_tables,
    tables_from_magnitude,
    tables_from_sensitivity,
)
from softjpeg.nn.wrapping import JPEGNetwork
from softjpeg.training.build import module_path
from softjpeg.training.data.loader import Batch, batches
from softjpeg.training.data.split import Split
from softjpeg.training.data.transforms import test_transform
from softjpeg.training.published_sensitivity import SUFFIX, read_sensitivity
from softjpeg.training.recipe import Recipe

_BATCH = 50


def initial_tables(
    recipe: Recipe, split: Split, reference: JPEGNetwork, seed: int
) -> Sequence[Tensor] | None:
    """(luma, chroma), or (luma,) for a layer after a module; None for ones.

    Args:
        recipe: its sections jpeg and data.
        split: the training images.
        reference: a network without a layer, trained for init = "sensitivity".
        seed: of random tables, and of which images.

    Raises:
        ValueError: the reference has no such module, or no image can be read.
    """
    jpeg = recipe.jpeg
    if jpeg.init == "ones" or jpeg.quantizer == "none":
        return None
    if jpeg.init == "random":
        return random_tables(jpeg.q_max, 1 if jpeg.at else 2, seed)
    if jpeg.init == "quality":
        if jpeg.at:
            raise ValueError(f"jpeg.init: Annex K is for images, not for features of {jpeg.at!r}")
        luma, chroma = quality_tables(jpeg.quality)
        return torch.as_tensor(luma).float(), torch.as_tensor(chroma).float()
    if jpeg.init == "sensitivity" and jpeg.init_from.endswith(SUFFIX):
        if jpeg.at:
            raise ValueError(f"jpeg.init_from: {jpeg.init_from} is of images, not of {jpeg.at!r}")
        return tables_from_sensitivity(read_sensitivity(jpeg.init_from), jpeg.q_max)
    s, magnitude = _statistics(recipe, split, reference, seed)
    if jpeg.init == "magnitude":
        return tables_from_magnitude(magnitude, jpeg.bits)
    return tables_from_sensitivity(s, jpeg.q_max)


def _statistics(
    recipe: Recipe, split: Split, reference: JPEGNetwork, seed: int
) -> tuple[Tensor, Tensor]:
    at = recipe.jpeg.at
    device = next(reference.parameters()).device
    reference.eval()
    rows = []
    for images, labels, _ in first_batches(recipe, split, seed, recipe.jpeg.init_images):
        images, labels = images.to(device), labels.to(device)
        if len(labels) == 0:
            continue
        if at:
            rows.append(feature_statistics(reference, module_path(reference, at), images, labels))
        else:
            rows.append(image_statistics(reference, images, labels, recipe.jpeg.subsampling))
    if not rows:
        raise ValueError("jpeg.init: none of the training images drawn can be read")
    s, magnitude = zip(*rows, strict=True)
    return torch.stack(s).mean(0), torch.stack(magnitude).mean(0)


def first_batches(recipe: Recipe, split: Split, seed: int, count: int) -> Iterator[Batch]:
    """Training images as tests see them, drawn by a seed.

    Args:
        recipe: its section data.
        split: the images.
        seed: of which images.
        count: how many, in batches of 50.
    """
    data = recipe.data
    transform = test_transform(
        data.size, resize=data.test_resize or None, interpolation=data.interpolation
    )
    size = min(_BATCH, len(split))
    wanted = max(1, min(count, len(split)) // size)
    drawn = batches(
        split,
        transform,
        batch_size=size,
        epoch=0,
        seed=seed,
        workers=data.workers,
        skip_bad=data.skip_bad,
    )
    return islice(drawn, wanted)
