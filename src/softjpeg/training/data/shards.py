"""webdataset shards: many images in few tar files, for data that is slow to read as single files.

Each tar is indexed once, and the index kept beside it; an image is then read by its place, so that
the order is a function of the seed alone, whatever processes read it.
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from softjpeg.common.bounds import MAX_CLASSES
from softjpeg.common.brief import brief
from softjpeg.common.files import remove_orphans, write_atomically
from softjpeg.common.image_files import SUFFIXES, NamedBytes, read_image

_MIXED = 16
"""How many shards are shuffled with each other: few enough that reading stays nearly sequential."""


@dataclass(frozen=True, eq=False)
class ShardSplit:
    """Images in tar files.

    Attributes:
        classes: the name of each class index.
        shards: the tar files.
        members: each image's name in its tar.
        places: (N, 3) int64: shard, offset and size in bytes.
        labels: each image's class index.
    """

    classes: tuple[str, ...]
    shards: tuple[Path, ...]
    members: tuple[str, ...]
    places: NDArray[np.int64]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.members)

    def name(self, i: int) -> str:
        """The tar and the member of image i."""
        return f"{self.shards[self.places[i, 0]]}, {self.members[i]}"

    def label(self, i: int) -> int:
        """The class index of image i."""
        return self.labels[i]

    def read(self, i: int) -> Image.Image:
        """Image i; ValueError when it cannot be read."""
        shard, offset, size = self.places[i].tolist()
        try:
            with self.shards[shard].open("rb") as file:
                file.seek(offset)
                data = file.read(size)
        except OSError as error:
            raise ValueError(f"{self.name(i)} cannot be read: {error.strerror}") from None
        return read_image(NamedBytes(data, self.name(i)))

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """A permutation that finishes some shards, drawn at random, before it opens others."""
        position = rng.permutation(len(self.shards))
        group = position[self.places[:, 0]] // _MIXED
        order = rng.permutation(len(self))
        return order[np.argsort(group[order], kind="stable")]


def open_shards(root: Path, train: bool) -> ShardSplit:
    """``root/train-*.tar`` or ``root/val-*.tar``, with members KEY.jpg (or .png, ...) and KEY.cls.

    The classes' names are the lines of ``root/classes.txt``; without it they are the numbers up to
    the largest label in training.

    Raises:
        ValueError: no shards, a damaged one, an image without its label, or a label out of range.
    """
    index = _index(root, "train" if train else "val")
    labels = tuple(index["labels"])
    listing = root / "classes.txt"
    if listing.is_file():
        classes = tuple(listing.read_text(encoding="utf-8").splitlines())
    else:
        largest = max((index if train else _index(root, "train"))["labels"])
        if largest >= MAX_CLASSES:
            words = f"{brief(largest)}: at most {MAX_CLASSES} classes are told apart"
            raise ValueError(f"{root} has label {words}")
        classes = tuple(str(i) for i in range(largest + 1))
    shards = tuple(root / name for name in index["shards"])
    places = np.array(index["places"], dtype=np.int64).reshape(-1, 3)
    split = ShardSplit(classes, shards, tuple(index["members"]), places, labels)
    for i, label in enumerate(labels):
        if not 0 <= label < len(classes):
            raise ValueError(
                f"{split.name(i)} has label {label}, but there are {len(classes)} classes"
            )
    return split


def _index(root: Path, prefix: str) -> dict[str, Any]:
    """Where every image is; from the file beside the shards where that is up to date."""
    shards = sorted(root.glob(f"{prefix}-*.tar"))
    if not shards:
        raise ValueError(
            f"{root} holds no shards {prefix}-*.tar: write train-*.tar and val-*.tar there, with "
            "members KEY.jpg and KEY.cls, for example with webdataset.ShardWriter"
        )
    state = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in shards]
    saved = root / f".{prefix}-index.json"
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads(saved.read_bytes())
        if _is_index(found, state):
            return dict(found)
    index: dict[str, Any] = {"state": state, "shards": [p.name for p in shards]}
    index |= {"members": [], "places": [], "labels": []}
    for number, path in enumerate(shards):
        _add_shard(index, number, path)
    if not index["labels"]:
        raise ValueError(f"{root} has shards {prefix}-*.tar, but no images in them")
    remove_orphans(root)
    # Shards may lie where one cannot write.
    with contextlib.suppress(OSError):
        write_atomically(saved, json.dumps(index).encode())
    return index


def _is_index(found: Any, state: list[list[Any]]) -> bool:
    """Whether what is in a file is whole, and of shards in this state."""
    if not isinstance(found, dict) or found.get("state") != state:
        return False
    if not all(isinstance(found.get(name), list) for name in ("members", "places", "labels")):
        return False
    members, places, labels = found["members"], found["places"], found["labels"]
    kinds = [int] * 3
    return (
        found.get("shards") == [name for name, _, _ in state]
        and 0 < len(members) == len(places) == len(labels)
        and all(type(member) is str for member in members)
        and all(type(label) is int for label in labels)
        and all(isinstance(place, list) and [*map(type, place)] == kinds for place in places)
        and all(0 <= min(place) <= max(place) < 2**63 for place in places)
        and all(place[0] < len(state) for place in places)
    )


def _add_shard(index: dict[str, Any], number: int, path: Path) -> None:
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                # As webdataset has it: the key ends at the first dot of the file's name.
                folder, _, file = member.name.rpartition("/")
                key, _, suffix = file.partition(".")
                key = f"{folder}/{key}"
                if f".{suffix.lower()}" in SUFFIXES:
                    images[key] = member
                elif suffix == "cls":
                    text = tar.extractfile(member)
                    labels[key] = int(text.read() if text is not None else b"")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a shard: {error}") from error
    for key, member in images.items():
        if key not in labels:
            raise ValueError(f"{path} has {member.name}, but no label {key.strip('/')}.cls")
        index["members"].append(member.name)
        index["places"].append([number, member.offset_data, member.size])
        index["labels"].append(labels[key])
