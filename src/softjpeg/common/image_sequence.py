"""Images of any sizes as one sequence: in memory, or decoded from their files when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import torch
from torch import Tensor

Images = Tensor | Sequence[Tensor]
"""uint8 RGB: one tensor (N, 3, H, W), or a sequence of (3, H, W) of any sizes."""


class ChosenImages(Sequence[Tensor]):
    """Some images of a sequence, in any order, each asked for when it is.

    >>> chosen = ChosenImages([torch.zeros(3, 2, 4), torch.ones(3, 5, 1)], [1, 0])
    >>> [tuple(image.shape) for image in chosen[:1]], len(chosen)
    ([(3, 5, 1)], 2)
    """

    def __init__(self, images: Sequence[Tensor], places: Sequence[int]) -> None:
        self.images, self.places = images, tuple(places)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> ChosenImages: ...
    def __getitem__(self, index: int | slice) -> Tensor | ChosenImages:
        if isinstance(index, slice):
            return ChosenImages(self.images, self.places[index])
        return self.images[self.places[index]]


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
