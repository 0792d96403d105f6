"""Small data sets in memory: decoded once, cropped and mirrored a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torchvision.transforms.v2.functional import to_dtype

from softjpeg.training.data.split import ArraySplit, Split
from softjpeg.training.data.transforms import CropAndFlip

LIMIT = 1 << 30
"""Bytes of pixels of one split that are kept."""

_AUGMENTATION = 1
"""Stands for these draws in the key of an epoch's seeds, beside its order's."""


def in_memory(split: Split, limit: int = LIMIT) -> Split:
    """The same images in memory where all are of one size, good, and fit; else the split itself.

    Args:
        split: its images are read once, until one of another size is met.
        limit: bytes of pixels.

    >>> from softjpeg.training.data.split import ArraySplit
    >>> split = ArraySplit(("a",), "mine", np.zeros((2, 4, 6, 3), np.uint8), (0, 0))
    >>> in_memory(split) is split
    True
    """
    if isinstance(split, ArraySplit):
        return split
    pixels = None
    for i in range(len(split)):
        try:
            image = np.asarray(split.read(i))
        except ValueError:
            # Broken: it is named, or left out, in the batch it belongs to.
            return split
        if pixels is None:
            if image.nbytes * len(split) > limit:
                return split
            pixels = np.empty((len(split), *image.shape), np.uint8)
        if image.shape != pixels.shape[1:]:
            return split
        pixels[i] = image
    if pixels is None:
        return split
    places = range(len(split))
    labels, names = tuple(map(split.label, places)), tuple(map(split.name, places))
    return ArraySplit(tuple(split.classes), "images in memory", pixels, labels, names)


def crops(
    split: ArraySplit, transform: CropAndFlip, chosen: Sequence[list[int]], seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of an epoch: images (B, 3, size, size) float32 in [0, 1], and labels (B,).

    Every image's place and mirroring depend on (seed, epoch, its index) alone.

    Args:
        split: images of one size, (H, W) at least the crop's.
        transform: which crops.
        chosen: the indices of each batch.
        seed, epoch: at least 0.

    Raises:
        ValueError: images smaller than the crop.
    """
    count, height, width, _ = split.pixels.shape
    size, pad = transform.size, transform.padding
    if min(height, width) < size:
        raise ValueError(
            f"{split.name(0)}: the image is {width}x{height}, smaller than the crop {size}x{size}: "
            "give a shorter side to resize to"
        )
    rng = np.random.default_rng([seed, epoch, _AUGMENTATION])
    if transform.random:
        tops, lefts = (
            rng.integers(0, side + 2 * pad - size + 1, count) for side in (height, width)
        )
    else:
        tops, lefts = (np.full(count, round((side - size) / 2)) for side in (height, width))
    mirrored = torch.from_numpy(rng.random(count) < transform.flip / 2)
    labels = torch.tensor(split.labels, dtype=torch.int64)
    for indices in chosen:
        # A batch at a time: the whole set with its border would take seconds and as much memory.
        pixels = np.pad(split.pixels[indices], ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        # (B, top, left, 3, size, size), without a copy.
        windows = sliding_window_view(pixels, (size, size), axis=(1, 2))
        places = range(len(indices)), tops[indices], lefts[indices]
        images = torch.from_numpy(windows[places])
        images = torch.where(mirrored[indices, None, None, None], images.flip(-1), images)
        yield to_dtype(images, torch.float32, scale=True), labels[indices]
