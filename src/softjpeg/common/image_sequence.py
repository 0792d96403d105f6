"""Images of any sizes as one sequence: in memory, or decoded from their files when asked for."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from softjpeg.common.image_files import read_image

Images = Tensor | Sequence[Tensor]
"""uint8 RGB: one tensor (N, 3, H, W), or a sequence of (3, H, W) of any sizes."""

_CACHE_BYTES = 1 << 29


class ImageFiles(Sequence[Tensor]):
    """Image files as uint8 (3, H, W), decoded when they are asked for.

    Args:
        paths: of images that `read_image` reads.
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

    def image(self, path: str | os.PathLike[str]) -> Tensor:
        image = self.images.pop(path, None)
        if image is None:
            pixels = np.array(read_image(path))
            image = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
            self.held += image.nbytes
        self.images[path] = image
        while self.held > self.most and len(self.images) > 1:
            self.held -= self.images.popitem(last=False)[1].nbytes
        return image


def same_size_groups(images: Images) -> list[tuple[list[int], Tensor]]:
    """Images in batches of one size.

    Args:
        images: a batch.

    Returns:
        For each size, in the order of its first image: the images' places in the batch, and the
        images (B, 3, H, W). One tensor is one group, as it is.

    >>> a, b = torch.zeros(3, 2, 4), torch.zeros(3, 4, 2)
    >>> [(places, tuple(group.shape)) for places, group in same_size_groups([a, b, a])]
    [([0, 2], (2, 3, 2, 4)), ([1], (1, 3, 4, 2))]
    """
    if isinstance(images, Tensor):
        return [(list(range(len(images))), images)]
    places: dict[torch.Size, list[int]] = {}
    batch = list(images)
    for place, image in enumerate(batch):
        places.setdefault(image.shape, []).append(place)
    return [(each, torch.stack([batch[i] for i in each])) for each in places.values()]


def in_place(groups: Sequence[tuple[list[int], Tensor]]) -> Tensor:
    """What was computed of `same_size_groups`, in the order of the batch again.

    Args:
        groups: places in the batch, and (B, ...) of those.

    >>> in_place([([0, 2], torch.tensor([1, 2])), ([1], torch.tensor([3]))]).tolist()
    [1, 3, 2]
    """
    if len(groups) == 1:
        return groups[0][1]
    order = torch.tensor([place for places, _ in groups for place in places])
    values = torch.cat([value for _, value in groups])
    return values[order.argsort().to(values.device)]


def pixel_count(images: Images) -> int:
    """Pixels of all images together.

    >>> pixel_count([torch.zeros(3, 2, 4), torch.zeros(3, 5, 1)])
    13
    """
    if isinstance(images, Tensor):
        return len(images) * images.shape[-2] * images.shape[-1]
    return sum(image.shape[-2] * image.shape[-1] for image in images)
