"""Image files, each as upright 8-bit RGB, and what is remarkable about it."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from PIL import Image, ImageFile

from softjpeg.common.image_planes import planes_of
from softjpeg.common.image_samples import of_same_pixels, to_8_bits, upright
from softjpeg.common.image_warning import ImageWarning
from softjpeg.common.transparency import WHITE, Color, has_transparency, on_background

if TYPE_CHECKING:
    from torch import Tensor

MAX_SIDE = 65500
"""In pixels: what libjpeg reads and writes; T.81 would allow 65535."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

FIRST_FRAME = "only the first of several frames is read"
TRANSPARENT = "what is transparent is composed on the background {},{},{}"


class ImageFileError(ValueError):
    """A file that is damaged, gone, changed, or no image that JPEG can hold; it is named."""


class NamedBytes(io.BytesIO):
    """Bytes of an image that messages can name."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self._words = name

    def __str__(self) -> str:
        return self._words


ImageSource = str | os.PathLike[str] | NamedBytes
"""The path of a regular file, or what is in one."""


def read_image(path: ImageSource) -> Image.Image:
    """An image file as upright 8-bit RGB, transparency composed on white; warns of such.

    Raises:
        ImageFileError: the file is none, cannot be read as an image, or holds 32-bit samples.
    """
    image, remarks = read_upright(path)
    for remark in remarks:
        warnings.warn(ImageWarning(remark, path), stacklevel=2)
    return image.convert("RGB")


def read_upright(
    path: ImageSource, background: Color = WHITE
) -> tuple[Image.Image, tuple[str, ...]]:
    """An image file as upright 8-bit RGB, or as gray ("L") where the file is gray.

    Args:
        path: of a regular file: pipes and devices are not opened.
        background: RGB, 0..255, under what is transparent.

    Returns:
        (image, remarks): what an `ImageWarning` is to say of it.

    Raises:
        ImageFileError: the file is none, cannot be read as an image, or holds 32-bit samples.
    """
    try:
        size = _bytes_of(path)
        with Image.open(path) as file:
            # Before memory is taken for what a header claims.
            if not holds_its_blocks(file, size):
                raise ValueError(f"{size} bytes cannot hold {file.width}x{file.height} pixels")
            remarks = _remarks(file)
            image = to_8_bits(upright(file))
            # Of equal channels Pillow's luma is that channel exactly.
            gray = image.mode in ("1", "L", "LA", "La")
            if has_transparency(image):
                image, shows = on_background(image, background)
                gray = gray and (not shows or len(set(background)) == 1)
                remarks += (TRANSPARENT.format(*background),) * shows
            mode = "L" if gray else "RGB"
            image = of_same_pixels(image) if image.mode == mode else image.convert(mode)
            return image, remarks
    # Damaged files make Pillow raise OSError, SyntaxError, ValueError, struct.error and others.
    except Exception as error:
        raise ImageFileError(f"{path} cannot be read as an image: {error}") from error


def _bytes_of(path: ImageSource) -> int:
    if isinstance(path, NamedBytes):
        return len(path.getvalue())
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no regular file")
    return found.st_size


def holds_its_blocks(file: Image.Image, size: int) -> bool:
    """Whether an image file of so many bytes can be what its header claims.

    A JPEG has a bit for each block at least; what is cut off may be read where Pillow is told so.
    """
    blocks = -(-file.width // 8) * -(-file.height // 8)
    return file.format not in ("JPEG", "MPO") or 8 * size >= blocks or _keeps_truncated()


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """What is in a regular file: pipes and devices are not opened.

    Raises:
        ImageFileError: it is none, or cannot be read.
    """
    try:
        _bytes_of(path)
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise ImageFileError(f"{path} cannot be read as an image: {error}") from error


def _keeps_truncated() -> bool:
    return bool(ImageFile.LOAD_TRUNCATED_IMAGES)


def _remarks(file: Image.Image) -> tuple[str, ...]:
    frames = getattr(file, "n_frames", 1)
    # The second picture of an MPO is a camera's preview, or for the other eye.
    return (FIRST_FRAME,) if frames > 1 and file.format != "MPO" else ()


_CACHE_BYTES = 1 << 29


class ImageFiles(Sequence["Tensor"]):
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
            image = planes_of(picture)
            self.held += image.nbytes
        self.images[path] = image
        while self.held > self.most and len(self.images) > 1:
            self.held -= self.images.popitem(last=False)[1].nbytes
        return image
