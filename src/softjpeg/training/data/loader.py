"""Batches whose content depends on (seed, epoch, index) only.

Whatever the number of worker processes and of ranks, and wherever a run begins again, batch b of an
epoch holds the same images with the same augmentation.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from softjpeg.training.data.memory import crops
from softjpeg.training.data.split import ArraySplit, Split
from softjpeg.training.data.transforms import CropAndFlip, Transform


class Batch(NamedTuple):
    """One process's share of a batch.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1]; (0, 3, 0, 0) where there are none.
        labels: (B,) int64 class indices.
        skipped: one sentence for each image that was left out.
    """

    images: Tensor
    labels: Tensor
    skipped: tuple[str, ...] = ()


def batches(
    split: Split,
    transform: Transform,
    *,
    batch_size: int,
    epoch: int,
    seed: int,
    start: int = 0,
    train: bool = True,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    skip_bad: bool = False,
) -> Iterator[Batch]:
    """The batches of one epoch.

    A global batch is batch_size·world images; rank r has its images r, r + world, ... Training goes
    through a permutation drawn from (seed, epoch) and drops the last incomplete global batch;
    testing goes through all images in their order, and its last batch may be small, or empty on
    some ranks. Images in memory that are only cropped and mirrored are so a batch at a time. Each
    image's augmentation is drawn from (seed, epoch, its index) by torch, numpy and
    `random`, whose generators stay untouched here.

    Args:
        split: the images.
        transform: from a PIL image to (3, H, W) float32.
        batch_size: images per process.
        epoch, seed: at least 0.
        start: the first batch to give; those before it are not read.
        train: shuffled and only whole batches; otherwise ordered and complete.
        rank, world: which of how many processes this is.
        workers: how many processes read images; 0 for this one.
        skip_bad: leave out images that cannot be read, and list them in `Batch.skipped`.

    Returns:
        `batch_count` - start batches, on every rank.

    Raises:
        ValueError: an argument out of its range; fewer images than one global batch to train on;
            or, at the batch it belongs to, an image that cannot be read (unless skip_bad) or that
            the transform refuses, named.
    """
    for argument, value in (("epoch", epoch), ("seed", seed), ("workers", workers)):
        if value < 0:
            raise ValueError(f"{argument} must be at least 0, got {value}")
    if not 0 <= rank < world:
        raise ValueError(f"rank must be 0..world-1 = {world - 1}, got {rank}")
    count = batch_count(split, batch_size, world, train)
    if not 0 <= start <= count:
        raise ValueError(f"start must be 0..{count}, the epoch's batches, got {start}")
    order = _order(split, seed, epoch) if train else np.arange(len(split))
    together = batch_size * world
    chosen = [
        order[first : first + together][rank::world].tolist()
        for first in range(start * together, count * together, together)
    ]
    if isinstance(split, ArraySplit) and isinstance(transform, CropAndFlip):
        return (Batch(*batch) for batch in crops(split, transform, chosen, seed, epoch))
    samples = _Samples(split, transform, seed, epoch, skip_bad)
    return _load(samples, chosen, workers)


def batch_count(split: Split, batch_size: int, world: int, train: bool) -> int:
    """How many batches an epoch has, on every rank.

    Args:
        split: the images.
        batch_size: images per process.
        world: how many processes there are.
        train: without the last incomplete global batch; otherwise with it.

    Raises:
        ValueError: batch_size or world below 1, or fewer images than one batch to train on.

    >>> from pathlib import Path
    >>> from softjpeg.training.data.split import FileSplit
    >>> split = FileSplit(("a",), Path("."), ("x.png",) * 10, (0,) * 10)
    >>> batch_count(split, 2, 2, train=True), batch_count(split, 2, 2, train=False)
    (2, 3)
    """
    for argument, value in (("batch_size", batch_size), ("world", world)):
        if value < 1:
            raise ValueError(f"{argument} must be at least 1, got {value}")
    images, together = len(split), batch_size * world
    if not train:
        return -(-images // together)
    if images < together:
        processes = f" in each of {world} processes" if world > 1 else ""
        raise ValueError(
            f"batch_size must be at most what {images} training images allow, "
            f"got {batch_size}{processes}"
        )
    return images // together


@dataclass(frozen=True, eq=False)
class _Samples(Dataset["_Sample"]):
    """The images of a split, each with the augmentation of this epoch."""

    split: Split
    transform: Transform
    seed: int
    epoch: int
    skip_bad: bool

    def __getitem__(self, i: int) -> _Sample:
        try:
            image = self.split.read(i)
        except ValueError as error:
            return str(error) if self.skip_bad else error
        try:
            with _generators_of(self.seed, self.epoch, i):
                return self.transform(image), self.split.label(i)
        except ValueError as error:
            return ValueError(f"{self.split.name(i)}: {error}")


_Sample = tuple[Tensor, int] | str | ValueError
"""An image and its label, or why it was left out, or why training must stop."""


def _load(samples: _Samples, chosen: Sequence[list[int]], workers: int) -> Iterator[Batch]:
    loader = DataLoader(
        samples,
        batch_sampler=chosen,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_leave_process_group,
        # Its own generator: the loader would draw from the global one.
        generator=torch.Generator(),
    )
    with warnings.catch_warnings():
        # From Python 3.12 on every fork of a program with threads warns; workers only decode.
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        iterator = iter(loader)
    try:
        for batch in iterator:
            if isinstance(batch, ValueError):
                raise batch
            yield batch
    finally:
        # Ends the workers, though a traceback may keep this frame.
        del iterator


def _collate(samples: Sequence[_Sample]) -> Batch | ValueError:
    good: list[tuple[Tensor, int]] = []
    skipped: list[str] = []
    for sample in samples:
        if isinstance(sample, ValueError):
            return sample
        if isinstance(sample, str):
            skipped.append(sample)
        else:
            good.append(sample)
    labels = torch.tensor([label for _, label in good], dtype=torch.int64)
    images = torch.stack([image for image, _ in good]) if good else torch.empty(0, 3, 0, 0)
    return Batch(images, labels, tuple(skipped))


def _order(split: Split, seed: int, epoch: int) -> NDArray[np.int64]:
    rng = np.random.default_rng([seed, epoch])
    permutation = getattr(split, "order", lambda rng: rng.permutation(len(split)))
    order: NDArray[np.int64] = permutation(rng)
    return order


@contextmanager
def _generators_of(seed: int, epoch: int, i: int) -> Iterator[None]:
    """Seed torch (CPU), numpy and `random` for one image, and put them back."""
    first, second, third = np.random.SeedSequence([seed, epoch, i]).generate_state(3).tolist()
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the accelerators too.
        torch.default_generator.manual_seed(first)
        np.random.seed(second)
        random.seed(third)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _leave_process_group(worker: int) -> None:
    # Ctrl-C and a scheduler signal the whole group; only the main process ends workers.
    if hasattr(os, "setsid"):
        os.setsid()
