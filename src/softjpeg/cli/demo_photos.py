"""The demo's photos: 20 labelled ImageNet images in foolbox and five in scikit-image."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from softjpeg.common.image_files import read_image
from softjpeg.common.image_set import from_image

SIZE = 224
_SHORT_SIDE = 256
_UNLABELLED = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


@dataclass(frozen=True)
class Photo:
    """A photo among a package's files; `label` is its ImageNet class where that is known."""

    path: Path
    label: int | None = None


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops of photos.

    Attributes:
        names: the photo's name and the crop's number.
        pixels: (N, 3, 224, 224) uint8 RGB.
        labels: (N,) int64 ImageNet classes; -1 where unknown.
    """

    names: tuple[str, ...]
    pixels: Tensor
    labels: Tensor


def find_photos() -> list[Photo]:
    """The photos in the installed packages, always in the same order.

    Raises:
        ModuleNotFoundError: foolbox or scikit-image is not installed.
    """
    labelled = sorted((_folder("foolbox") / "data").glob("imagenet_*.jpg"))
    photos = [Photo(path, int(path.stem.rpartition("_")[2])) for path in labelled]
    return photos + [Photo(_folder("skimage") / "data" / name) for name in _UNLABELLED]


def split(photos: Sequence[Photo]) -> tuple[list[Photo], list[Photo]]:
    """Every second photo to learn from, and the others, held out.

    >>> [[photo.path.name for photo in part] for part in split([Photo(Path(c)) for c in "abcde"])]
    [['b', 'd'], ['a', 'c', 'e']]
    """
    return list(photos[1::2]), list(photos[::2])


def learning_crops(photos: Sequence[Photo], each: int, seed: int) -> Crops:
    """Random crops, half of them mirrored.

    Args:
        photos: none smaller than a crop.
        each: crops of every photo.
        seed: of the crops.
    """
    rng = random.Random(f"learning {seed}")

    def cut(image: Image.Image) -> list[Image.Image]:
        crops = [_random_crop(image, rng) for _ in range(each)]
        return [ImageOps.mirror(crop) if i % 2 else crop for i, crop in enumerate(crops)]

    return _crops(photos, cut)


def held_out_crops(photos: Sequence[Photo], each: int, seed: int) -> Crops:
    """The centre crop of every photo, with its label, and random crops without.

    Args:
        photos: none smaller than a crop.
        each: crops of every photo, the centre one among them.
        seed: of the others.
    """
    rng = random.Random(f"held out {seed}")

    def cut(image: Image.Image) -> list[Image.Image]:
        return [_centre_crop(image), *(_random_crop(image, rng) for _ in range(each - 1))]

    crops = _crops(photos, cut)
    for i, photo in enumerate(photos):
        crops.labels[i * each] = -1 if photo.label is None else photo.label
    return crops


def _crops(photos: Sequence[Photo], cut: Callable[[Image.Image], list[Image.Image]]) -> Crops:
    names, pixels = [], []
    for photo in photos:
        for i, crop in enumerate(cut(read_image(photo.path))):
            names.append(f"{photo.path.stem}-{i}")
            pixels.append(from_image(crop))
    return Crops(tuple(names), torch.stack(pixels), torch.full((len(names),), -1))


def _centre_crop(image: Image.Image) -> Image.Image:
    """As EfficientNet-Lite0's own evaluation crops."""
    scale = _SHORT_SIDE / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    left, top = ((side - SIZE) // 2 for side in size)
    resized = image.resize(size, Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + SIZE, top + SIZE))


def _random_crop(image: Image.Image, rng: random.Random) -> Image.Image:
    """A square of the photo, never enlarged: enlarged pixels hold little for JPEG to lose."""
    side = rng.randint(SIZE, min(image.size))
    left, top = (rng.randint(0, length - side) for length in image.size)
    box = (left, top, left + side, top + side)
    return image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box)


def _folder(package: str) -> Path:
    # Found, not imported: importing foolbox takes seconds and warns.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    return Path(spec.submodule_search_locations[0])
