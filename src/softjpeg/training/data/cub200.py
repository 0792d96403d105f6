"""Caltech-UCSD Birds-200-2011 in its own layout: 5994 training and 5794 test images."""

from __future__ import annotations

from pathlib import Path

from softjpeg.training.data.split import FileSplit

_URL = "https://www.vision.caltech.edu/datasets/cub_200_2011/"


def open_cub200(root: Path, train: bool) -> FileSplit:
    """The split of ``train_test_split.txt`` in ``root/CUB_200_2011``.

    Raises:
        ValueError: a list that is absent or does not fit the others.
    """
    folder = root / "CUB_200_2011"
    files = _read(folder, "images.txt")
    labels = _read(folder, "image_class_labels.txt")
    training = _read(folder, "train_test_split.txt")
    classes = _read(folder, "classes.txt")
    index = {number: i for i, number in enumerate(classes)}
    for image in files:
        if labels.get(image) not in index:
            raise ValueError(f"{folder / 'image_class_labels.txt'} has no class for image {image}")
        if training.get(image) not in ("0", "1"):
            raise ValueError(f"{folder / 'train_test_split.txt'} has no 0 or 1 for image {image}")
    chosen = [image for image in files if (training[image] == "1") == train]
    return FileSplit(
        # 001.Black_footed_Albatross
        tuple(name.partition(".")[2].replace("_", " ") or name for name in classes.values()),
        folder / "images",
        tuple(files[image] for image in chosen),
        tuple(index[labels[image]] for image in chosen),
    )


def _read(folder: Path, name: str) -> dict[str, str]:
    """The lines "number value" of a list."""
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
    except OSError:
        raise ValueError(
            f"CUB-200-2011 is absent from {folder} ({name} is missing): download "
            f"CUB_200_2011.tgz from {_URL} and unpack it in {folder.parent}"
        ) from None
    rows = [line.split(maxsplit=1) for line in lines if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise ValueError(f"{folder / name}, line {number}: not a number and a value")
    return {number: value.strip() for number, value in rows}
