"""Every data set on a tiny stand-in in its official layout."""

import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg.common.image_warning import ImageWarning
from softjpeg.training.data.sources import SOURCES, open_split, statistics

datasets = pytest.importorskip("torchvision.datasets", reason="softjpeg[train] is not installed")


def save(path, level, size=(12, 10)):
    """A picture of one colour, which says which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 255 - level, 60)).save(path, "jpeg", quality=95)


def content(split):
    """(label, level) of every image, in the split's order."""
    pairs = []
    for i in range(len(split)):
        image = split.read(i)
        assert image.mode == "RGB"
        red, green, blue = np.asarray(image, dtype=int).mean((0, 1))
        assert abs(red + green - 255) < 4
        assert abs(blue - 60) < 4
        pairs.append((split.label(i), round(red / 10) * 10))
    return pairs


def refusal(*args):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        open_split(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "cifar10",
            ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "cifar-10-batches"],
        ),
        ("cifar100", ["https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "cifar-100-py"]),
        ("imagenet", ["https://image-net.org/", "ILSVRC2012_devkit_t12.tar.gz", "{root}/imagenet"]),
        ("flowers102", ["102flowers.tgz", "setid.mat", "{root}/flowers-102"]),
        ("pets", ["annotations.tar.gz", "{root}/oxford-iiit-pet"]),
        ("cub200", ["CUB_200_2011.tgz", "unpack it in {root}"]),
        ("dogs", ["lists.tar", "{root}/stanford-dogs"]),
        ("folder", ["{root}/train/CLASS/", "{root}/val/CLASS/"]),
        ("shards", ["train-*.tar", "{root}"]),
    ],
)
def test_a_missing_data_set_says_what_to_download_and_where_to_put_it(tmp_path, name, words):
    for train in (True, False):
        sentence = refusal(name, tmp_path, train)
        assert "\n" not in sentence
        for word in words:
            assert word.format(root=tmp_path) in sentence
    assert not list(tmp_path.iterdir())


def test_names_and_statistics(tmp_path):
    assert set(SOURCES) == {
        *("cifar10", "cifar100", "imagenet", "flowers102", "pets", "cub200", "dogs"),
        *("folder", "shards"),
    }
    assert refusal("mnist", tmp_path, True) == (
        f"data must be one of {', '.join(SOURCES)}, got 'mnist'"
    )
    assert statistics("cifar10") == ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    assert statistics("cifar100") == ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
    for name in set(SOURCES) - {"cifar10", "cifar100"}:
        assert statistics(name) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with pytest.raises(ValueError, match="got 'mnist'"):
        statistics("mnist")


def write_pickle(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(body, protocol=2))
    return path.name, hashlib.md5(path.read_bytes()).hexdigest()


def planes(count, seed):
    """CIFAR's rows: 1024 red, 1024 green, 1024 blue values."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def test_cifar10(tmp_path, monkeypatch):
    folder, rows = tmp_path / "cifar-10-batches-py", {}
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    checksums = []
    for i, name in enumerate(names):
        rows[name] = planes(2, i)
        body = {"data": rows[name], "labels": [i, 9 - i], "filenames": ["a.png", "b.png"]}
        checksums.append(write_pickle(folder / name, body))
    words = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    file, md5 = write_pickle(folder / "batches.meta", {"label_names": words})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", checksums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", checksums[5:])
    meta = {"filename": file, "key": "label_names", "md5": md5}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    train, test = (open_split("cifar10", str(tmp_path), t) for t in (True, False))
    assert train.classes == test.classes == tuple(words)
    assert [train.label(i) for i in range(len(train))] == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert (len(test), test.label(0), test.label(1)) == (2, 5, 4)
    assert train.name(3) == "CIFAR-10 train, image 3"
    pixels = np.asarray(train.read(3))
    row = rows["data_batch_2"][1]
    assert pixels[2, 5].tolist() == [row[2 * 32 + 5], row[1024 + 69], row[2048 + 69]]
    assert np.asarray(test.read(0))[31, 31, 2] == rows["test_batch"][0, -1]
    (folder / "data_batch_3").write_bytes(b"damaged")
    assert refusal("cifar10", tmp_path, True).startswith(f"CIFAR-10 is absent from {tmp_path} or d")


def test_cifar100(tmp_path, monkeypatch):
    folder, rows, checksums = tmp_path / "cifar-100-python", planes(3, 0), {}
    for name, labels in (("train", [99, 0, 7]), ("test", [5, 5, 6])):
        body = {"data": rows, "fine_labels": labels, "coarse_labels": [1, 1, 1]}
        checksums[name] = write_pickle(folder / name, body)
    words = [f"fine {i}" for i in range(100)]
    body = {"fine_label_names": words, "coarse_label_names": ["coarse"]}
    file, md5 = write_pickle(folder / "meta", body)
    monkeypatch.setattr(datasets.CIFAR100, "train_list", [checksums["train"]])
    monkeypatch.setattr(datasets.CIFAR100, "test_list", [checksums["test"]])
    meta = {"filename": file, "key": "fine_label_names", "md5": md5}
    monkeypatch.setattr(datasets.CIFAR100, "meta", meta)
    train, test = (open_split("cifar100", tmp_path, t) for t in (True, False))
    assert train.classes == tuple(words)
    assert [train.label(i) for i in range(3)] == [99, 0, 7]
    assert [test.label(i) for i in range(3)] == [5, 5, 6]
    np.testing.assert_array_equal(
        np.asarray(train.read(1)).transpose(2, 0, 1), rows[1].reshape(3, 32, 32)
    )


def test_imagenet(tmp_path):
    root = tmp_path / "imagenet"
    save(root / "train/n01440764/n01440764_10026.JPEG", 10)
    save(root / "train/n01443537/n01443537_2.JPEG", 30)
    save(root / "train/n01443537/n01443537_1.JPEG", 20)
    save(root / "val/n01440764/ILSVRC2012_val_00000293.JPEG", 40)
    save(root / "val/n01443537/ILSVRC2012_val_00000236.JPEG", 50)
    names = {"n01443537": ("goldfish", "Carassius auratus"), "n01440764": ("tench",)}
    torch.save((names, ["n01443537", "n01440764"]), root / "meta.bin")
    train, test = (open_split("imagenet", tmp_path, t) for t in (True, False))
    assert train.classes == test.classes == ("tench", "goldfish, Carassius auratus")
    assert content(train) == [(0, 10), (1, 20), (1, 30)]
    assert content(test) == [(0, 40), (1, 50)]
    assert train.name(2) == f"{root}/train/n01443537/n01443537_2.JPEG"


def test_flowers102(tmp_path, monkeypatch):
    scipy_io = pytest.importorskip("scipy.io", reason="softjpeg[train] is not installed")
    root = tmp_path / "flowers-102"
    for i in range(1, 7):
        save(root / f"jpg/image_{i:05d}.jpg", 10 * i)
    labels = np.array([[102, 1, 1, 5, 7, 102]], dtype=np.uint8)
    scipy_io.savemat(root / "imagelabels.mat", {"labels": labels})
    sets = {"trnid": [[6, 2]], "valid": [[1]], "tstid": [[3, 4, 5]]}
    ids = {key: np.array(value, dtype=np.uint16) for key, value in sets.items()}
    scipy_io.savemat(root / "setid.mat", ids)
    checksums = {
        key: (name, hashlib.md5((root / name).read_bytes()).hexdigest())
        for key, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))
    }
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", checksums)
    train, test = (open_split("flowers102", tmp_path, t) for t in (True, False))
    assert content(train) == [(101, 60), (0, 20)]
    assert content(test) == [(0, 30), (4, 40), (6, 50)]
    assert len(train.classes) == 102
    assert train.name(0) == f"{root}/jpg/image_00006.jpg"


def test_pets(tmp_path):
    root = tmp_path / "oxford-iiit-pet"
    for i, name in enumerate(("Abyssinian_100", "american_bulldog_7", "Abyssinian_1", "Birman_2")):
        save(root / f"images/{name}.jpg", 10 * i)
    (root / "annotations").mkdir()
    lists = root / "annotations/trainval.txt", root / "annotations/test.txt"
    lists[0].write_text("Abyssinian_100 1 1 1\namerican_bulldog_7 2 2 1\nBirman_2 3 1 2\n")
    lists[1].write_text("american_bulldog_7 2 2 1\nAbyssinian_1 1 1 1\nBirman_2 3 1 2\n")
    train, test = (open_split("pets", tmp_path, t) for t in (True, False))
    assert train.classes == test.classes == ("Abyssinian", "American Bulldog", "Birman")
    assert content(train) == [(0, 0), (1, 10), (2, 30)]
    assert content(test) == [(1, 10), (0, 20), (2, 30)]
    lists[0].write_text("Abyssinian_100\n")
    assert refusal("pets", tmp_path, True).startswith("Oxford-IIIT Pet is absent from ")


def write_cub(root):
    albatross, sparrow = "001.Black_footed_Albatross", "002.House_Sparrow"
    files = [
        f"{albatross}/a_1.jpg",
        f"{albatross}/a_2.jpg",
        f"{sparrow}/s_1.jpg",
        f"{sparrow}/s_2.jpg",
    ]
    for i, file in enumerate(files, 1):
        save(root / "images" / file, 10 * i)
    (root / "images.txt").write_text("".join(f"{i} {f}\n" for i, f in enumerate(files, 1)))
    (root / "image_class_labels.txt").write_text("1 1\n2 1\n3 2\n4 2\n")
    (root / "train_test_split.txt").write_text("1 0\n2 1\n3 1\n4 0\n")
    (root / "classes.txt").write_text(f"1 {albatross}\n2 {sparrow}\n")


def test_cub200(tmp_path):
    root = tmp_path / "CUB_200_2011"
    write_cub(root)
    train, test = (open_split("cub200", tmp_path, t) for t in (True, False))
    assert train.classes == test.classes == ("Black footed Albatross", "House Sparrow")
    assert content(train) == [(0, 20), (1, 30)]
    assert content(test) == [(0, 10), (1, 40)]
    assert test.name(1) == f"{root}/images/002.House_Sparrow/s_2.jpg"


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("image_class_labels.txt", "1 1\n2 1\n3 2\n4 9\n", "{} has no class for image 4"),
        ("train_test_split.txt", "1 0\n2 1\n4 0\n", "{} has no 0 or 1 for image 3"),
        ("images.txt", "1 a.jpg\n2\n", "{}, line 2: not a number and a value"),
    ],
)
def test_lists_of_cub200_that_do_not_fit(tmp_path, file, text, sentence):
    root = tmp_path / "CUB_200_2011"
    write_cub(root)
    (root / file).write_text(text)
    assert refusal("cub200", tmp_path, True) == sentence.format(root / file)


def test_dogs(tmp_path):
    scipy_io = pytest.importorskip("scipy.io", reason="softjpeg[train] is not installed")
    root = tmp_path / "stanford-dogs"
    files = {
        "train": ["n02085620-Chihuahua/n02085620_5927.jpg", "n02085782-Japanese_spaniel/n02_1.jpg"],
        "test": ["n02085620-Chihuahua/n02085620_2650.jpg", "n02085782-Japanese_spaniel/n02_2.jpg"],
    }
    for i, file in enumerate(files["train"] + files["test"]):
        save(root / "Images" / file, 10 * i)
    for name, listed in files.items():
        cells = np.empty((2, 1), dtype=object)
        cells[:, 0] = listed
        body = {"file_list": cells, "labels": np.array([[1.0], [2.0]])}
        scipy_io.savemat(root / f"{name}_list.mat", body)
    train, test = (open_split("dogs", tmp_path, t) for t in (True, False))
    assert train.classes == test.classes == ("Chihuahua", "Japanese_spaniel")
    assert content(train) == [(0, 0), (1, 10)]
    assert content(test) == [(0, 20), (1, 30)]
    (root / "test_list.mat").write_bytes(b"no")
    assert refusal("dogs", tmp_path, False).startswith(f"{root / 'test_list.mat'} cannot be read: ")


def test_folder(tmp_path):
    for file, level in (
        *(("train/dog/b.jpg", 10), ("train/dog/a.JPEG", 20), ("train/cat/deep/c.png", 30)),
        *(("train/ant/d.webp", 40), ("test/dog/e.jpg", 50), (".git/x.jpg", 0)),
        *(("train/.cache/x.jpg", 0), ("train/dog/.x.jpg", 0)),
    ):
        save(tmp_path / file, level)
    (tmp_path / "train/notes.txt").write_text("not an image")
    with pytest.warns(ImageWarning, match=r"left out, hidden \(1\): .*/train/dog/\.x\.jpg$"):
        train = open_split("folder", tmp_path, True)
    test = open_split("folder", tmp_path, False)
    assert train.classes == test.classes == ("ant", "cat", "dog")
    assert content(train) == [(0, 40), (1, 30), (2, 20), (2, 10)]
    assert content(test) == [(2, 50)]
    save(tmp_path / "val/cat/f.jpg", 60)
    assert content(open_split("folder", tmp_path, False)) == [(1, 60)]
    (tmp_path / "val/cat/f.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"val/cat/f\.jpg cannot be read as an image: "):
        open_split("folder", tmp_path, False).read(0)


def test_folders_that_are_no_data_set(tmp_path):
    train, val = tmp_path / "train", tmp_path / "val"
    train.mkdir()
    assert refusal("folder", tmp_path, True) == f"{train} has no class folders"
    save(train / "a/1.jpg", 0)
    assert refusal("folder", tmp_path, False) == (
        f"{tmp_path} has neither a folder val nor a folder test"
    )
    save(val / "b/1.jpg", 0)
    assert refusal("folder", tmp_path, False) == (
        f"{val / 'b'} is a class that {train} does not have"
    )
    (train / "empty").mkdir()
    assert refusal("folder", tmp_path, True).startswith(f"{train / 'empty'} holds no images")
    save(train / "stray.jpg", 0)
    assert refusal("folder", tmp_path, True) == (
        f"{train / 'stray.jpg'} is in no class folder, but labels are the folders' names"
    )


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save(tmp_path / "data/train/a/1.jpg", 0)
    assert open_split("folder", f"~{os.sep}data", True).name(0) == f"{tmp_path}/data/train/a/1.jpg"
