"""The data sets that torchvision reads: CIFAR, ImageNet, Flowers-102, Oxford-IIIT Pet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from softjpeg.training.data.split import ArraySplit, FileSplit


def cifar10(root: Path, train: bool) -> ArraySplit:
    """CIFAR-10 in ``root/cifar-10-batches-py``: 50,000 training and 10,000 test images of 32²."""
    return _cifar("CIFAR10", "CIFAR-10", root, train)


def cifar100(root: Path, train: bool) -> ArraySplit:
    """CIFAR-100 in ``root/cifar-100-python``: 50,000 training and 10,000 test images of 32²."""
    return _cifar("CIFAR100", "CIFAR-100", root, train)


def imagenet(root: Path, train: bool) -> FileSplit:
    """ILSVRC 2012 in ``root/imagenet``; torchvision unpacks the archives at the first use."""
    folder = root / "imagenet"
    split = "train" if train else "val"
    advice = (
        "download ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and "
        "ILSVRC2012_img_val.tar "
        f"from https://image-net.org/challenges/LSVRC/2012/ and put them into {folder}"
    )
    data = _open("ImageNet", f"ImageNet ({split})", advice, folder, split=split)
    classes = tuple(", ".join(names) for names in data.classes)
    return _file_split(folder / split, classes, *zip(*data.samples, strict=True))


def flowers102(root: Path, train: bool) -> FileSplit:
    """Flowers-102 in ``root/flowers-102``: the 1020 official training images, 6149 test images."""
    folder = root / "flowers-102"
    advice = (
        "download 102flowers.tgz, imagelabels.mat and setid.mat from "
        f"https://www.robots.ox.ac.uk/~vgg/data/flowers/102/, put them into {folder} and unpack "
        "102flowers.tgz there"
    )
    split = "train" if train else "test"
    data = _open("Flowers102", "Flowers-102", advice, root, split=split)
    names = getattr(data, "classes", None) or [str(i) for i in range(102)]
    return _file_split(folder / "jpg", tuple(names), data._image_files, data._labels)


def pets(root: Path, train: bool) -> FileSplit:
    """Oxford-IIIT Pet in ``root/oxford-iiit-pet``: 3680 training and 3669 test images."""
    folder = root / "oxford-iiit-pet"
    advice = (
        "download images.tar.gz and annotations.tar.gz from "
        f"https://www.robots.ox.ac.uk/~vgg/data/pets/ and unpack both in {folder}"
    )
    split = "trainval" if train else "test"
    data = _open("OxfordIIITPet", "Oxford-IIIT Pet", advice, root, split=split)
    return _file_split(folder / "images", tuple(data.classes), data._images, data._labels)


def _cifar(kind: str, title: str, root: Path, train: bool) -> ArraySplit:
    from torchvision import datasets

    known = getattr(datasets, kind)
    advice = f"download {known.url} and unpack it in {root}, which makes {root / known.base_folder}"
    data = _open(kind, title, advice, root, train=train)
    words = f"{title} {'train' if train else 'test'}"
    return ArraySplit(tuple(data.classes), words, data.data, tuple(data.targets))


def _open(kind: str, title: str, advice: str, root: Path, **options: Any) -> Any:
    from torchvision import datasets

    try:
        return getattr(datasets, kind)(root=str(root), **options)
    except ImportError:
        raise
    # RuntimeError where files are absent or have another checksum, nearly anything where damaged.
    except Exception as error:
        raise ValueError(f"{title} is absent from {root} or damaged: {advice}") from error


def _file_split(folder: Path, classes: tuple[str, ...], paths: Any, labels: Any) -> FileSplit:
    files = tuple(str(path).removeprefix(f"{folder}{os.sep}") for path in paths)
    return FileSplit(classes, folder, files, tuple(labels))
