"""Images and their labels: crops as one uint8 tensor, or photos at their own sizes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from softjpeg.common.image_files import ImageFiles, read_image
from softjpeg.common.image_planes import planes_of
from softjpeg.common.image_selection import selected_images
from softjpeg.common.progress import track
from softjpeg.common.scratch import scratch_tensor

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, in the order of their names.

    Attributes:
        names: each image's path relative to its source, with forward slashes.
        pixels: (N, 3, H, W) uint8 RGB; where they are many, in a temporary file (`scratch`).
        labels: (N,) int64 class indices; None when unknown.
        class_names: the class of each index; None when unknown.
    """

    names: tuple[str, ...]
    pixels: Tensor
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Images at their own sizes, in the order of their names.

    Attributes:
        names, labels, class_names: as of `ImageSet`.
        pixels: uint8 RGB (3, H, W) each, read from their files.
    """

    names: tuple[str, ...]
    pixels: ImageFiles
    labels: Tensor | None = None
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)


def load_images(
    source: str | os.PathLike[str],
    *,
    size: int | tuple[int, int] | None = None,
    resize: int | None = None,
    interpolation: str = "bicubic",
    labels: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    follow_links: bool = False,
    progress: bool = False,
) -> ImageSet:
    """Load images of one size, with their labels where they have any.

    Args:
        source: a folder (searched with its subfolders), one image, or a text file with one path a
            line.
        size: centre crop, (height, width) or one number for both; None when all images have one
            size.
        resize: length of the shorter side before the crop; None for no resizing.
        interpolation: "bicubic" or "bilinear".
        labels: "folders" (the first folder below the source is the class), or a CSV file with the
            columns file (as in `ImageSet.names`) and label (a class index or a class name).
        limit: a random subset of so many images.
        seed: which subset.
        follow_links: also those that lead out of the folder.
        progress: show a progress bar.

    Raises:
        ValueError: an argument out of its range, or a file that is unreadable, too small, of
            another size or without a label, named.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for color in ("red", "lime"):
    ...         Image.new("RGB", (20, 12), color).save(Path(folder, color + ".png"))
    ...     images = load_images(folder, size=8)
    >>> images.names, tuple(images.pixels.shape), images.pixels[0, :, 0, 0].tolist()
    (('lime.png', 'red.png'), (2, 3, 8, 8), [0, 255, 0])
    """
    if interpolation not in _FILTERS:
        known = " or ".join(_FILTERS)
        raise ValueError(f"interpolation must be {known}, got {interpolation!r}")
    crop = (size, size) if isinstance(size, int) else size
    positive = {"size": None if crop is None else min(crop), "resize": resize, "limit": limit}
    for argument, value in positive.items():
        if value is not None and value < 1:
            raise ValueError(f"{argument} must be at least 1, got {value}")
    paths, names, indices, class_names = selected_images(
        source, labels, limit, seed, follow_links=follow_links
    )

    def load(path: Path) -> Tensor:
        return from_image(resize_and_crop(read_image(path), path, resize, crop, interpolation))

    first = load(paths[0])
    pixels = scratch_tensor((len(paths), *first.shape), torch.uint8)

    def fill(i: int) -> None:
        image = load(paths[i])
        if image.shape != first.shape:
            (h, w), (height, width) = first.shape[1:], image.shape[1:]
            raise ValueError(
                f"{paths[0]} is {w}x{h} and {paths[i]} is {width}x{height}: "
                "give one size to crop them to (--size)"
            )
        pixels[i] = image

    # Decoding and resizing happen in C, where threads run side by side.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(fill, range(len(paths)))
        for _ in track(done, "loading images", total=len(paths), enabled=progress):
            pass
    classes = None if indices is None else torch.tensor(indices)
    return ImageSet(tuple(names), pixels, classes, class_names)


def load_photos(
    source: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    follow_links: bool = False,
) -> PhotoSet:
    """Images at their own sizes, which are decoded when they are asked for.

    Args:
        source: as for `find_images`.
        labels: "folders" (the first folder below the source is the class), or a CSV file with the
            columns file and label, as for `load_images`.
        limit: a random subset of so many images.
        seed: which subset.
        follow_links: also those that lead out of the folder.

    Raises:
        ValueError: an argument out of its range, no images, or one without a label, named.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (20, 12), "lime").save(Path(folder, "lime.png"))
    ...     photos = load_photos(folder)
    ...     photos.names, tuple(photos.pixels[0].shape)
    (('lime.png',), (3, 12, 20))
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    paths, names, indices, class_names = selected_images(
        source, labels, limit, seed, follow_links=follow_links
    )
    classes = None if indices is None else torch.tensor(indices)
    return PhotoSet(tuple(names), ImageFiles(paths), classes, class_names)


def from_image(image: Image.Image) -> Tensor:
    """A Pillow image as (3, H, W) uint8 RGB.

    >>> from_image(Image.new("L", (3, 2), 7)).shape
    torch.Size([3, 2, 3])
    """
    return planes_of(image.convert("RGB"))


def resize_and_crop(
    image: Image.Image,
    path: Path,
    resize: int | None,
    crop: tuple[int, int] | None,
    interpolation: str,
) -> Image.Image:
    """Rounding as torchvision's Resize and CenterCrop do it.

    Args:
        image: any size.
        path: what an error calls the image.
        resize: length of the shorter side before the crop; None for no resizing.
        crop: (height, width) of the centre; None for all of it.
        interpolation: "bicubic" or "bilinear".

    Raises:
        ValueError: smaller than the crop.
    """
    if resize is not None:
        short = min(image.size)
        width, height = (resize * side // short for side in image.size)
        image = image.resize((width, height), _FILTERS[interpolation])
    if crop is None:
        return image
    height, width = crop
    if image.width < width or image.height < height:
        raise ValueError(
            f"{path} is {image.width}x{image.height}, smaller than the crop {width}x{height}: "
            "give a shorter side to resize to (--resize)"
        )
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))
