"""Data sets by name, each in its official layout on disk; nothing is ever downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from softjpeg.common.extras import remedy
from softjpeg.training.data import cub200, dogs, folder, shards, torchvision_sets
from softjpeg.training.data.split import Split

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

_IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_STATISTICS: dict[str, Statistics] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}

_OPEN: dict[str, Callable[[Path, bool], Split]] = {
    "cifar10": torchvision_sets.cifar10,
    "cifar100": torchvision_sets.cifar100,
    "imagenet": torchvision_sets.imagenet,
    "flowers102": torchvision_sets.flowers102,
    "pets": torchvision_sets.pets,
    "cub200": cub200.open_cub200,
    "dogs": dogs.open_dogs,
    "folder": folder.open_folder,
    "shards": shards.open_shards,
}

SOURCES = tuple(_OPEN)
"""The names that `open_split` knows."""


def open_split(name: str, root: str | os.PathLike[str], train: bool) -> Split:
    """The training or the test images of a data set.

    Args:
        name: one of

            * ``cifar10``, ``cifar100``: the Python version, below ``root/cifar-10-batches-py`` or
              ``root/cifar-100-python``;
            * ``imagenet``: ILSVRC 2012 in ``root/imagenet``, the archives or what torchvision makes
              of them; tested on its validation images. A tree ``train/``, ``val/`` of class folders
              without the development kit is a ``folder``;
            * ``flowers102``: in ``root/flowers-102``; trained on the official 1020 training images
              (10 a class), tested on the official 6149 test images, its 1020 validation images
              unused;
            * ``pets``: in ``root/oxford-iiit-pet``, trained on ``trainval.txt``, tested on
              ``test.txt``;
            * ``cub200``: in ``root/CUB_200_2011``;
            * ``dogs``: Stanford Dogs in ``root/stanford-dogs``;
            * ``folder``: ``root/train/CLASS/...`` and ``root/val/CLASS/...`` (or ``root/test``);
            * ``shards``: ``root/train-*.tar`` and ``root/val-*.tar``, as webdataset writes them.
        root: the folder that holds it.
        train: the training images; otherwise those it is tested on.

    Raises:
        ValueError: an unknown name; or a data set that is absent, incomplete or damaged: what is
            wrong, what to download and where to put it.
        ImportError: torchvision or scipy is not installed.
    """
    _check_name(name)
    try:
        return _OPEN[name](Path(root).expanduser(), train)
    except ImportError as error:
        raise ImportError(
            f"the data set {name} cannot be read ({error}): {remedy('train')}"
        ) from error


def statistics(name: str) -> Statistics:
    """The channels' (mean, standard deviation) that a data set is usually normalized with.

    Its own for CIFAR, ImageNet's for all others; RGB in [0, 1].

    Raises:
        ValueError: an unknown name.

    >>> statistics("cifar100")[0]
    (0.5071, 0.4867, 0.4408)
    """
    _check_name(name)
    return _STATISTICS.get(name, _IMAGENET)


def _check_name(name: str) -> None:
    if name not in _OPEN:
        raise ValueError(f"data must be one of {', '.join(_OPEN)}, got {name!r}")
