"""Labelled images, read one at a time: what every data set looks like to the loader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from PIL import Image

from softjpeg.common.image_files import read_image


class Split(Protocol):
    """The training or the test images of a data set.

    A split may also have ``order(rng: numpy.random.Generator)``, a permutation of its indices,
    where not every order reads equally fast (see `softjpeg.training.data.shards`).
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class index."""

    def __len__(self) -> int: ...

    def name(self, i: int) -> str:
        """What messages call image i."""

    def label(self, i: int) -> int:
        """The class index of image i."""

    def read(self, i: int) -> Image.Image:
        """Image i as 8-bit RGB; ValueError with one sentence that names it when it is broken."""


@dataclass(frozen=True, eq=False)
class FileSplit:
    """Images that are files.

    Attributes:
        classes: the name of each class index.
        folder: the files' common folder.
        files: each image's path below it.
        labels: each image's class index.

    >>> split = FileSplit(("cat", "dog"), Path("pets"), ("a.jpg", "b.jpg"), (1, 0))
    >>> len(split), split.name(0), split.classes[split.label(0)]
    (2, 'pets/a.jpg', 'dog')
    """

    classes: tuple[str, ...]
    folder: Path
    files: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, i: int) -> str:
        """The path of image i."""
        return str(self.folder / self.files[i])

    def label(self, i: int) -> int:
        """The class index of image i."""
        return self.labels[i]

    def read(self, i: int) -> Image.Image:
        """Image i, upright; ValueError when its file cannot be read."""
        return read_image(self.folder / self.files[i])


@dataclass(frozen=True, eq=False)
class ArraySplit:
    """Images in memory.

    Attributes:
        classes: the name of each class index.
        title: what messages call the data set.
        pixels: (N, H, W, 3) uint8 RGB.
        labels: each image's class index.
        names: what messages call each image; default: the data set and the index.

    >>> import numpy as np
    >>> split = ArraySplit(("a",), "mine", np.zeros((1, 4, 6, 3), np.uint8), (0,))
    >>> split.name(0), split.read(0).size
    ('mine, image 0', (6, 4))
    """

    classes: tuple[str, ...]
    title: str
    pixels: NDArray[Any]
    labels: tuple[int, ...]
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def name(self, i: int) -> str:
        """The image's own name, or the data set and the index."""
        return self.names[i] if self.names else f"{self.title}, image {i}"

    def label(self, i: int) -> int:
        """The class index of image i."""
        return self.labels[i]

    def read(self, i: int) -> Image.Image:
        """Image i."""
        return Image.fromarray(self.pixels[i])
