"""What networks make of images of any size, and whether that is still what they said before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from softjpeg.codec.pillow_images import to_pillow_image
from softjpeg.common.image_set import from_image, resize_and_crop
from softjpeg.models.fidelity import Fidelity
from softjpeg.models.inference import outputs_of
from softjpeg.models.network import Network

Inputs = tuple[Tensor, ...]
"""An image as each network reads it: uint8 (3, h, w)."""
Outputs = tuple[Tensor, ...]
"""The output of each network on one image, without the batch."""


@dataclass(frozen=True)
class Judge:
    """Networks in the loop, and what of their answers must be kept.

    Attributes:
        networks: one or more; each reads an image as its own preprocessing says.
        fidelity: the criterion.
        average: the mean of the networks' measures must be within the limit, not every one.

    Raises:
        ValueError: no network, or two of one name.
    """

    networks: tuple[Network, ...]
    fidelity: Fidelity
    average: bool = False

    def __post_init__(self) -> None:
        names = [network.name for network in self.networks]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"networks must be one or more different ones, got {names}")

    def measure(self, outputs: Outputs, originals: Outputs) -> tuple[float, ...]:
        """How far each network's output on a file is from its output on the image.

        Raises:
            ValueError: outputs of which the criterion tells nothing; the network is named.
        """
        for network, original in zip(self.networks, originals, strict=True):
            try:
                self.fidelity.check(original[None])
            except ValueError as error:
                raise ValueError(f"{network.name}: {error}") from error
        return tuple(
            float(self.fidelity.measure(output[None], original[None]))
            for output, original in zip(outputs, originals, strict=True)
        )

    def keeps(self, measures: Sequence[float]) -> bool:
        """Whether these measures, one for each network, are within the limit; NaN never is."""
        if self.average:
            return math.fsum(measures) / len(measures) <= self.fidelity.limit
        return all(measure <= self.fidelity.limit for measure in measures)


def network_input(image: Image.Image | Tensor, network: Network, name: str = "the image") -> Tensor:
    """An image as a network reads it: resized and cropped as its preprocessing says.

    Args:
        image: Pillow image, or uint8 tensor (3 or 1, H, W).
        network: it says the size.
        name: what an error calls the image.

    Returns:
        uint8 (3, h, w).

    Raises:
        ValueError: smaller than the network's crop.
    """
    picture = to_pillow_image(image).convert("RGB")
    shape = network.resize, network.size, network.interpolation
    return from_image(resize_and_crop(picture, Path(name), *shape))


def network_outputs(networks: Sequence[Network], inputs: Sequence[Inputs]) -> list[Outputs]:
    """The output of every network on every image, images of one size in one batch.

    Raises:
        ValueError: an output that is not finite, or a network that cannot read its input; the
            network is named.
    """
    columns = []
    for place, network in enumerate(networks):
        pictures = [images[place] for images in inputs]
        outputs: list[Tensor] = [torch.empty(0)] * len(pictures)
        shapes = [picture.shape for picture in pictures]
        for shape in dict.fromkeys(shapes):
            group = [i for i, other in enumerate(shapes) if other == shape]
            try:
                batch = outputs_of(network.module, torch.stack([pictures[i] for i in group]))
            except ValueError as error:
                raise ValueError(f"{network.name}: {error}") from error
            for i, output in zip(group, batch, strict=True):
                outputs[i] = output
        columns.append(outputs)
    return list(zip(*columns, strict=True))
