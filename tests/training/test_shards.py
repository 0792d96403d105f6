"""Shards that webdataset writes, judged by what webdataset reads."""

import gc
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")

from helpers.sources import write_tar
from softjpeg.training.data import shards
from softjpeg.training.data.loader import batches
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.transforms import train_transform

wds = pytest.importorskip("webdataset", reason="webdataset is not installed")

# webdataset's reader leaves its files to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning",
    "ignore:Exception ignored in.*FileIO:pytest.PytestUnraisableExceptionWarning",
)


def write(root, prefix="train", count=11, per_shard=4, classes=5, seed=0):
    """Image i is called part/i.x and has label i modulo classes."""
    rng = np.random.default_rng(seed)
    pattern = str(root / f"{prefix}-%03d.tar")
    with wds.ShardWriter(pattern, maxcount=per_shard, verbose=0) as sink:
        for i in range(count):
            pixels = rng.integers(0, 256, (9, 10, 3), dtype=np.uint8)
            suffix = "jpg" if i % 3 else "png"
            sink.write({"__key__": f"part/{i:04d}", suffix: pixels, "cls": i % classes})


def judge(root, prefix="train"):
    """Key, pixels and label of every sample, in webdataset's order."""
    tars = sorted(str(path) for path in root.glob(f"{prefix}-*.tar"))
    samples = []
    for sample in wds.WebDataset(tars, shardshuffle=False):
        data = sample.get("jpg", sample.get("png"))
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        samples.append((sample["__key__"], pixels, int(sample["cls"])))
    gc.collect()
    return samples


def assert_same_samples(split, samples):
    assert len(split) == len(samples)
    for i, (key, pixels, label) in enumerate(samples):
        assert f", {key}." in split.name(i)
        assert split.label(i) == label
        np.testing.assert_array_equal(np.asarray(split.read(i)), pixels)


def refusal(root, train=True):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        open_split("shards", root, train)
    return str(caught.value)


def test_images_and_labels(tmp_path):
    write(tmp_path)
    write(tmp_path, "val", count=3, classes=2, seed=1)
    train, test = (open_split("shards", tmp_path, t) for t in (True, False))
    assert_same_samples(train, judge(tmp_path))
    assert_same_samples(test, judge(tmp_path, "val"))
    assert train.classes == test.classes == ("0", "1", "2", "3", "4")
    assert train.name(9) == f"{tmp_path}/train-002.tar, part/0009.png"
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\ndog\nemu\nfox\n")
    assert open_split("shards", tmp_path, False).classes == (
        "ant",
        "bee",
        "cat",
        "dog",
        "emu",
        "fox",
    )


def test_the_index_is_kept_and_follows_the_shards(tmp_path, monkeypatch):
    write(tmp_path)
    first = open_split("shards", tmp_path, True)
    read = []
    add_shard = shards._add_shard
    monkeypatch.setattr(shards, "_add_shard", lambda *a: (read.append(a[1]), add_shard(*a)))
    assert_same_samples(open_split("shards", tmp_path, True), judge(tmp_path))
    assert read == []
    write(tmp_path, count=9, per_shard=4, classes=3, seed=2)
    assert_same_samples(open_split("shards", tmp_path, True), judge(tmp_path))
    assert read == [0, 1, 2]
    assert len(first) == 11
    index = next(tmp_path.glob(".*.json"))
    whole = json.loads(index.read_bytes())
    damaged = [b"{", b"[]", b"[" * 10**5, json.dumps({"state": whole["state"]}).encode()]
    for key, value in (("labels", ["a"] * 9), ("places", [[0, -1, 5]] * 9), ("members", [])):
        damaged.append(json.dumps({**whole, key: value}).encode())
    for data in damaged:
        index.write_bytes(data)
        assert_same_samples(open_split("shards", tmp_path, True), judge(tmp_path))


def test_an_epoch_finishes_some_shards_before_others(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_MIXED", 2)
    write(tmp_path, count=24, per_shard=4)
    split = open_split("shards", tmp_path, True)
    orders = [split.order(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert orders[0].tolist() == orders[1].tolist() != orders[2].tolist()
    for order in orders:
        assert sorted(order.tolist()) == list(range(24))
        shard_of = order // 4
        groups = [set(shard_of[first : first + 8].tolist()) for first in (0, 8, 16)]
        assert [len(group) for group in groups] == [2, 2, 2]
        assert set.union(*groups) == set(range(6))
        assert (np.diff(shard_of) != 0).sum() > 8  # two shards alternate


def test_workers_ranks_and_a_later_start(tmp_path):
    write(tmp_path, count=21)
    split = open_split("shards", tmp_path, True)

    def epoch(**options):
        options = {"batch_size": 4, "epoch": 1, "seed": 3} | options
        return list(batches(split, train_transform(8, crop="resized"), **options))

    alone = epoch()
    assert len(alone) == 5
    for other in (epoch(workers=2), alone[:2] + epoch(start=2, workers=1)):
        assert all(torch.equal(a.images, b.images) for a, b in zip(alone, other, strict=True))
    ranks = [epoch(batch_size=2, world=2, rank=r) for r in range(2)]
    for whole, even, odd in zip(alone, *ranks, strict=True):
        assert torch.equal(whole.images[0::2], even.images)
        assert torch.equal(whole.images[1::2], odd.images)


def add(path, **members):
    write_tar(path, ((name.replace("_", "."), data) for name, data in members.items()))


def test_broken_shards_are_named(tmp_path):
    path = tmp_path / "train-0.tar"
    add(path, a_jpg=b"no image", a_cls=b"0")
    split = open_split("shards", tmp_path, True)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        split.read(0)
    assert str(caught.value).startswith(f"{path}, a.jpg cannot be read as an image: ")
    assert "BytesIO" not in str(caught.value)
    path.unlink()
    with pytest.raises(ValueError, match=r"train-0\.tar, a\.jpg cannot be read: No such file"):
        split.read(0)
    add(path, a_jpg=b"x", b_cls=b"0")
    assert refusal(tmp_path) == f"{path} has a.jpg, but no label a.cls"
    add(path, a_jpg=b"x", a_cls=b"cat")
    assert refusal(tmp_path).startswith(f"{path} cannot be read as a shard: ")
    path.write_bytes(b"no tar" * 200)
    assert refusal(tmp_path).startswith(f"{path} cannot be read as a shard: ")
    write(tmp_path, count=30, per_shard=30)
    path.unlink()
    data = (tmp_path / "train-000.tar").read_bytes()
    (tmp_path / "train-000.tar").write_bytes(data[: len(data) // 2])
    assert refusal(tmp_path).startswith(f"{tmp_path}/train-000.tar cannot be read as a shard: ")


def test_a_label_that_no_data_set_has(tmp_path):
    write(tmp_path)
    add(tmp_path / "train-000009.tar", a_png=b"", a_cls=b"9" * 12)
    with pytest.raises(ValueError, match="has label 999999999999: at most 1048576 classes"):
        open_split("shards", tmp_path, True)


def test_labels_beyond_the_classes(tmp_path):
    add(tmp_path / "train-0.tar", a_png=b"x", a_cls=b"1")
    add(tmp_path / "val-0.tar", b_png=b"x", b_cls=b"2")
    assert refusal(tmp_path, train=False) == (
        f"{tmp_path}/val-0.tar, b.png has label 2, but there are 2 classes"
    )
    add(tmp_path / "train-0.tar", readme_txt=b"x")
    assert refusal(tmp_path) == f"{tmp_path} has shards train-*.tar, but no images in them"
