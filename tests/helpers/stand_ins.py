"""Tiny data sets in the official layouts, for tests that train on what users will have."""

import hashlib
import pickle

import numpy as np
import torch
from PIL import Image


def photo(path, i, size=(40, 36)):
    """Noise of its own for each i, as JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "jpeg", quality=95)


def write(name, root, monkeypatch, images=4):
    """A data set of `softjpeg.training.data.sources`: `images` to train on and as many to test on.

    The checksums that torchvision wants of CIFAR and Flowers-102 are patched to the stand-in's.
    """
    _WRITERS[name](root, monkeypatch, images)


def _cifar100(root, monkeypatch, images):
    from torchvision import datasets

    folder = root / "cifar-100-python"
    folder.mkdir(parents=True)

    def put(file, body):
        (folder / file).write_bytes(pickle.dumps(body, protocol=2))
        return file, hashlib.md5((folder / file).read_bytes()).hexdigest()

    for seed, split in enumerate(("train", "test")):
        rows = np.random.default_rng(seed).integers(0, 256, (images, 3072), dtype=np.uint8)
        listed = put(split, {"data": rows, "fine_labels": list(range(images))})
        monkeypatch.setattr(datasets.CIFAR100, f"{split}_list", [listed])
    file, md5 = put("meta", {"fine_label_names": [f"fine {i}" for i in range(100)]})
    meta = {"filename": file, "key": "fine_label_names", "md5": md5}
    monkeypatch.setattr(datasets.CIFAR100, "meta", meta)


def _imagenet(root, monkeypatch, images):
    wnids = ["n01440764", "n01443537"]
    for i in range(images):
        photo(root / f"imagenet/train/{wnids[i % 2]}/{wnids[i % 2]}_{i}.JPEG", i)
        photo(root / f"imagenet/val/{wnids[i % 2]}/ILSVRC2012_val_{i:08}.JPEG", images + i)
    names = dict(zip(wnids, [("tench",), ("goldfish", "Carassius auratus")], strict=True))
    torch.save((names, wnids), root / "imagenet/meta.bin")


def _flowers102(root, monkeypatch, images):
    from scipy.io import savemat
    from torchvision import datasets

    folder = root / "flowers-102"
    for i in range(1, 2 * images + 1):
        photo(folder / f"jpg/image_{i:05}.jpg", i)
    savemat(folder / "imagelabels.mat", {"labels": np.arange(1, 2 * images + 1)[None] % 102 + 1})
    ids = np.arange(1, 2 * images + 1, dtype=np.uint16)[None]
    sets = {"trnid": ids[:, :images], "valid": ids[:, :1], "tstid": ids[:, images:]}
    savemat(folder / "setid.mat", sets)
    files = {"label": "imagelabels.mat", "setid": "setid.mat"}
    sums = {k: (n, hashlib.md5((folder / n).read_bytes()).hexdigest()) for k, n in files.items()}
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", sums)


def _pets(root, monkeypatch, images):
    folder = root / "oxford-iiit-pet"
    (folder / "annotations").mkdir(parents=True)
    for split, first in (("trainval", 0), ("test", images)):
        names = [
            (("Abyssinian", "Birman")[i % 2] + f"_{first + i}", i % 2 + 1) for i in range(images)
        ]
        for i, (name, _) in enumerate(names):
            photo(folder / f"images/{name}.jpg", first + i)
        lines = "".join(f"{name} {label} 1 1\n" for name, label in names)
        (folder / f"annotations/{split}.txt").write_text(lines)


def _cub200(root, monkeypatch, images):
    folder = root / "CUB_200_2011"
    classes = "001.Black_footed_Albatross", "002.House_Sparrow"
    files = [f"{classes[i % 2]}/bird_{i}.jpg" for i in range(2 * images)]
    for i, file in enumerate(files):
        photo(folder / "images" / file, i)
    lists = {
        "images": files,
        "image_class_labels": [i % 2 + 1 for i in range(2 * images)],
        "train_test_split": [int(i < images) for i in range(2 * images)],
        "classes": classes,
    }
    for name, values in lists.items():
        lines = "".join(f"{i} {value}\n" for i, value in enumerate(values, 1))
        (folder / f"{name}.txt").write_text(lines)


def _dogs(root, monkeypatch, images):
    from scipy.io import savemat

    folder = root / "stanford-dogs"
    breeds = "n02085620-Chihuahua", "n02085782-Japanese_spaniel"
    for split, first in (("train", 0), ("test", images)):
        cells = np.empty((images, 1), dtype=object)
        cells[:, 0] = [f"{breeds[i % 2]}/dog_{first + i}.jpg" for i in range(images)]
        for i, file in enumerate(cells[:, 0]):
            photo(folder / "Images" / file, first + i)
        labels = np.array([[float(i % 2 + 1)] for i in range(images)])
        savemat(folder / f"{split}_list.mat", {"file_list": cells, "labels": labels})


def _folder(root, monkeypatch, images):
    for i in range(images):
        photo(root / f"train/class {i % 2}/{i}.jpg", i, size=(80, 72))
        photo(root / f"val/class {i % 2}/{i}.jpg", images + i, size=(80, 72))


_WRITERS = {
    "cifar100": _cifar100,
    "imagenet": _imagenet,
    "flowers102": _flowers102,
    "pets": _pets,
    "cub200": _cub200,
    "dogs": _dogs,
    "folder": _folder,
}
