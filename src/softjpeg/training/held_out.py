"""The test images of a trained network, in memory."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from softjpeg.common.image_set import ImageSet
from softjpeg.common.progress import track
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.split import Split
from softjpeg.training.data.transforms import test_transform
from softjpeg.training.trained_network import TrainedNetwork


def held_out_images(
    trained: TrainedNetwork,
    *,
    root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> ImageSet:
    """The images that training tested on, resized and cropped as it did.

    Args:
        trained: of `load_run`.
        root: where the data set is; default: where training found it.
        limit: a random subset of so many images.
        seed: which subset.
        progress: show a progress bar.

    Raises:
        ValueError: the data set is not there, or an image cannot be read, named.
    """
    data = trained.recipe.data
    split: Split = open_split(data.name, root or data.root, train=False)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    indices = list(range(len(split)))
    if limit is not None and limit < len(indices):
        indices = sorted(random.Random(seed).sample(indices, limit))
    transform = test_transform(
        data.size, resize=data.test_resize or None, interpolation=data.interpolation
    )
    pixels = torch.empty(len(indices), 3, data.size, data.size, dtype=torch.uint8)
    for place, i in enumerate(track(indices, "loading images", enabled=progress)):
        pixels[place] = (transform(split.read(i)) * 255).round().to(torch.uint8)
    return ImageSet(
        tuple(split.name(i) for i in indices),
        pixels,
        torch.tensor([split.label(i) for i in indices]),
        split.classes,
    )
