"""Write the data sets of recipes/small as class folders.

python benchmarks/small_data.py ARCHIVES [data]: ARCHIVES is a folder with some of
cifar10_lossless_train4000.npz, tiny_imagenet_train50_val.zip, and cifar10_train_jpegq75.zip
beside cifar10_test_jpegq75.zip (all of CIFAR-10, lossy).
"""

import csv
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def cifar10(archives: Path, out: Path) -> None:
    """1000 images to train on, 3000 to test on, in the order they come; PNG."""
    data = np.load(archives / "cifar10_lossless_train4000.npz")
    for i, (pixels, label) in enumerate(zip(data["x"], data["y"], strict=True)):
        folder = out / ("train" if i < 1000 else "val") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i:04}.png")


def tiny_imagenet(archives: Path, out: Path) -> None:
    """Every tenth class: 50 images each to train on, 50 validation images; as they are, JPEG."""
    with zipfile.ZipFile(archives / "tiny_imagenet_train50_val.zip") as archive:
        listing = next(n for n in archive.namelist() if n.endswith("labels.csv"))
        for row in csv.DictReader(io.TextIOWrapper(archive.open(listing), "utf-8")):
            if int(row["label"]) % 10 == 0:
                folder = out / row["split"] / row["wnid"]
                folder.mkdir(parents=True, exist_ok=True)
                (folder / Path(row["file"]).name).write_bytes(archive.read(row["file"]))


def cifar10_q75(archives: Path, out: Path) -> None:
    """All 50,000 and 10,000 images, as the archives have them."""
    for part, name in (("train", "train"), ("val", "test")):
        with zipfile.ZipFile(archives / f"cifar10_{name}_jpegq75.zip") as archive:
            for member in (n for n in archive.namelist() if n.endswith(".jpg")):
                folder = out / part / Path(member).parent.name
                folder.mkdir(parents=True, exist_ok=True)
                (folder / Path(member).name).write_bytes(archive.read(member))


SETS = {
    "cifar10-small": (cifar10, "cifar10_lossless_train4000.npz"),
    "tiny-imagenet-small": (tiny_imagenet, "tiny_imagenet_train50_val.zip"),
    "cifar10-q75": (cifar10_q75, "cifar10_train_jpegq75.zip"),
}
"""Folder → what writes it, and the archive without which it is left out."""


if __name__ == "__main__":
    given, root = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "data")
    for folder, (write, archive) in SETS.items():
        if (given / archive).is_file():
            write(given, root / folder)
            print(f"wrote {root / folder}")
