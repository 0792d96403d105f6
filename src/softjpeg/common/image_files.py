"""Image files: which ones a source names, and each as upright 8-bit RGB."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from softjpeg.common.image_samples import to_8_bits, upright

MAX_SIDE = 65500
"""In pixels: what libjpeg reads and writes; T.81 would allow 65535."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


class ImageFileError(ValueError):
    """A file that is damaged, gone, changed, or no image that JPEG can hold; it is named."""


def find_images(source: str | os.PathLike[str]) -> list[Path]:
    """The sorted paths of the images that `source` names.

    Args:
        source: a folder (searched with its subfolders; hidden files are left out), one image, or a
            text file with one path a line, relative to the text file's folder.

    Raises:
        ValueError: no such source, no images in it, or a listed file that does not exist.
    """
    source = Path(source)
    if source.is_dir():
        paths = [
            Path(folder, name)
            for folder, _, names in os.walk(source, followlinks=True)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    elif source.suffix.lower() in SUFFIXES and source.is_file():
        return [source]
    elif source.is_file():
        paths = _listed_images(source)
    else:
        raise ValueError(f"images must be a file or a folder, but {source} does not exist")
    if not paths:
        raise ValueError(f"{source} holds no images ({' '.join(SUFFIXES)})")
    return sorted(paths)


def relative_name(path: Path, source: str | os.PathLike[str]) -> str:
    """What an image of `find_images` is called: its path from the source's folder.

    >>> relative_name(Path("photos/cats/a.png"), "photos/list.txt")
    'cats/a.png'
    """
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    path, root = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """An image file as upright 8-bit RGB.

    Raises:
        ImageFileError: the file cannot be read as an image, or holds 32-bit samples.
    """
    try:
        with Image.open(path) as file:
            image = to_8_bits(upright(file))
            if "transparency" in image.info:
                # Pillow warns when a palette with transparency goes straight to RGB.
                image = image.convert("RGBA")
            return image.convert("RGB")
    # Damaged files make Pillow raise OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise ImageFileError(f"{path} cannot be read as an image: {error}") from error


def _listed_images(file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{file} is neither an image nor a text file that lists some") from None
    paths = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        path = file.parent / line.strip()
        if not path.is_file():
            raise ValueError(f"{file}, line {number}: {line.strip()} does not exist")
        paths.append(path)
    return paths


_CACHE_BYTES = 1 << 29


class ImageFiles(Sequence[Tensor]):
    """Image files as uint8 (3, H, W), decoded when they are asked for.

    Args:
        paths: of images that `read_image` reads, with sides up to MAX_SIDE.
        cache_bytes: of decoded pixels that are held; those asked for longest ago go first.

    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("RGB", (20, 12), "lime").save(folder + "/a.png")
    ...     images = ImageFiles([folder + "/a.png"])
    ...     tuple(images[0].shape), images[0][:, 0, 0].tolist()
    ((3, 12, 20), [0, 255, 0])
    """

    def __init__(
        self, paths: Sequence[str | os.PathLike[str]], cache_bytes: int = _CACHE_BYTES
    ) -> None:
        self.paths = tuple(paths)
        self._cache = _Cache(cache_bytes)

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> ImageFiles: ...
    def __getitem__(self, index: int | slice) -> Tensor | ImageFiles:
        if isinstance(index, slice):
            part = ImageFiles(self.paths[index])
            part._cache = self._cache
            return part
        return self._cache.image(self.paths[index])


class _Cache:
    """Decoded images by path, up to a bound."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0
        self.images: OrderedDict[str | os.PathLike[str], Tensor] = OrderedDict()
        self.written: dict[str | os.PathLike[str], int] = {}

    def image(self, path: str | os.PathLike[str]) -> Tensor:
        image = self.images.pop(path, None)
        if image is None:
            picture = read_image(path)
            if max(picture.size) > MAX_SIDE:
                size = f"{picture.width}x{picture.height}"
                raise ImageFileError(f"{path} is {size}: JPEG holds {MAX_SIDE} pixels a side")
            written = os.stat(path).st_mtime_ns
            if self.written.setdefault(path, written) != written:
                raise ImageFileError(f"{path} was changed between two readings")
            image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
            self.held += image.nbytes
        self.images[path] = image
        while self.held > self.most and len(self.images) > 1:
            self.held -= self.images.popitem(last=False)[1].nbytes
        return image
