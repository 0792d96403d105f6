"""What files cost: bits per pixel, and the default quality of as many bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable

from torch import Tensor

from softjpeg.codec.image import encode
from softjpeg.common.image_sequence import Images, pixel_count
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.presets.preset import Preset


def bits_per_pixel(size: float, pixels: float) -> float:
    """Bits per pixel of files of so many bytes in all, of images of so many pixels in all.

    >>> bits_per_pixel(96, 2 * 8 * 16)
    3.0
    """
    return 8 * size / pixels


def file_bytes(images: Iterable[Tensor], preset: Preset) -> int:
    """Bytes of the files of images (3, H, W) uint8 in mode "hard", optimized Huffman."""
    return sum(len(encode(image, preset)) for image in images)


def mean_bpp(images: Images, preset: Preset) -> float:
    """Bits per pixel of whole files of uint8 images, optimized Huffman: all bits, all pixels.

    >>> import torch
    >>> mean_bpp(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), Preset.from_quality(50)) > 20
    True
    """
    return bits_per_pixel(file_bytes(images, preset), pixel_count(images))


def mean_scan_bpp(images: Images, preset: Preset) -> float:
    """The same of the files' entropy-coded data alone, which a small image's header hides."""
    size = sum(scan_bytes(encode(image, preset)) for image in images)
    return bits_per_pixel(size, pixel_count(images))


def rate_sample(images: Images, count: int = 64) -> Images:
    """Up to so many images, evenly spread, that tell what files of all of them cost."""
    return images[:: -(-len(images) // count)]


def equal_size_quality(wanted: float, size: Callable[[int], float]) -> int:
    """The lowest quality of default JPEG that costs no less than what is wanted.

    Args:
        wanted: bytes, or bits per pixel.
        size: what a quality 1..100 costs, in the same unit; it grows with the quality.

    Returns:
        1..100; 100 also where even that costs less.

    >>> equal_size_quality(30.5, lambda quality: quality), equal_size_quality(101, lambda q: q)
    (31, 100)
    """
    return 1 + bisect_left(range(1, 100), wanted, key=size)


def equal_bytes_quality(images: Images, preset: Preset) -> int:
    """The lowest quality at which default JPEG has no fewer bytes than a preset.

    Args:
        images: uint8; their files' bytes are added up.
        preset: to compare with, in mode "hard"; default JPEG has its subsampling.

    Returns:
        A libjpeg quality 1..100; 100 also where even its files are smaller.

    >>> import torch
    >>> image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    >>> abs(equal_bytes_quality(image, Preset.from_quality(60)) - 60) <= 3
    True
    """

    def default_bytes(quality: int) -> int:
        return file_bytes(images, Preset.from_quality(quality, preset.subsampling))

    return equal_size_quality(file_bytes(images, preset), default_bytes)
