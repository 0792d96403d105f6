"""What an adapting run goes through: a network, images in two parts, files, and a loss."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.adaptation.adapter import network_of
from softjpeg.adaptation.stored_files import StoredFiles
from softjpeg.adaptation.views import training_view
from softjpeg.common.image_sequence import ChosenImages, Images
from softjpeg.learning.checkpoint import fingerprint, of_images
from softjpeg.learning.losses import Loss, default_loss, losses_one_by_one
from softjpeg.learning.run_options import check_seed
from softjpeg.models.inference import check_inputs, check_labels, outputs_of
from softjpeg.models.preprocessing import Preprocessed, Preprocessing

JUDGING = 4
"""Every so many images, one judges; the others train."""

_LEAST = 8


@dataclass(frozen=True, eq=False)
class Task:
    """The inputs of a run, checked.

    Attributes:
        reader: the frozen network, also behind its preprocessing; in eval mode.
        images: uint8, (N, 3, H, W) or several (3, H, W); read when needed.
        files: that the network is to read.
        loss: from (outputs, targets) to the mean of a batch; None for KL divergence, or with labels
            for cross-entropy.
        labels: (N,), the targets; None where these are the network's answers on the originals.
        clean_weight: share of the training images that are read as they are.
        batch_size: images of a step.
        seed: of everything random.
        feature_weight: of the features' distance beside the loss, where outputs are class scores.

    Raises:
        ValueError: a value out of its range, or a network that cannot read the images.
    """

    reader: nn.Module
    images: Images
    files: StoredFiles
    loss: Loss | None
    labels: Tensor | None
    clean_weight: float
    batch_size: int
    seed: int
    feature_weight: float = 0.0

    def __post_init__(self) -> None:
        check_inputs(self.images, self.labels, self.batch_size)
        if len(self.images) < _LEAST:
            raise ValueError(f"images must be at least {_LEAST}, got {len(self.images)}")
        if not 0 <= self.clean_weight < 1:
            raise ValueError(f"clean_weight must be from 0 to below 1, got {self.clean_weight}")
        if not 0 <= self.feature_weight < math.inf:
            raise ValueError(f"feature_weight must be at least 0, got {self.feature_weight}")
        check_seed(self.seed)
        self.reader.eval()
        outputs = outputs_of(self.reader, self.images[: self.batch_size], self.batch_size)
        if self.labels is not None:
            check_labels(self.labels, outputs)
            if self.loss is None and self.labels.min() < 0:
                raise ValueError("labels must be given for every image to learn from, got -1")

    @property
    def network(self) -> nn.Module:
        """The frozen network without its preprocessing."""
        return network_of(self.reader)

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What the network does to images before it reads them."""
        return self.reader.preprocessing if isinstance(self.reader, Preprocessed) else None

    @property
    def training(self) -> list[int]:
        """The places of the images that train."""
        return [i for i in range(len(self.images)) if i % JUDGING != JUDGING - 1]

    @property
    def judging(self) -> list[int]:
        """The places of the held-out images."""
        return list(range(JUDGING - 1, len(self.images), JUDGING))

    @property
    def scores_classes(self) -> bool:
        """Whether the outputs are class scores, of which the highest is the answer."""
        return self.loss is None or self.labels is not None

    @property
    def loss_name(self) -> str:
        """In words."""
        if self.loss is not None:
            return getattr(self.loss, "__name__", type(self.loss).__name__)
        return "KL" if self.labels is None else "cross-entropy"

    def part(self, places: Sequence[int]) -> Images:
        """Some of the images; photos are read when they are asked for."""
        if isinstance(self.images, Tensor):
            return self.images[list(places)]
        return ChosenImages(self.images, places)

    def targets(self, answers: Tensor, places: Sequence[int]) -> Tensor:
        """What the loss compares with: the frozen network's answers on the originals, or labels."""
        if self.labels is None:
            return answers
        return self.labels[list(places)].to(answers.device)

    def batch_loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch.

        Raises:
            ValueError: it is not finite.
        """
        loss = (self.loss or default_loss(self.labels))(outputs, targets)
        if not math.isfinite(float(loss.detach())):
            raise ValueError(f"the loss is {float(loss.detach())} on compressed images")
        return loss

    def image_losses(self, outputs: Tensor, targets: Tensor) -> list[float]:
        """The loss of each image."""
        return losses_one_by_one(self.batch_loss, outputs, targets)

    def views(self, step: int, places: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """A random part of each image and of its file, as `training_view` has them.

        Args:
            step: of the run; with the seed and the image's place it decides everything random.
            places: of the images.
        """

        def view(place: int) -> tuple[Tensor, Tensor]:
            random = np.random.default_rng((self.seed, step, place))
            clean = random.random() < self.clean_weight
            preset = None if clean else self.files.drawn(random)
            return training_view(images[place], preset, self.preprocessing, random, self.files.mode)

        # One after the other: a sequence of files is read by one thread.
        images = {place: self.images[place] for place in places}
        return _in_threads(view, places)

    @cached_property
    def digest(self) -> str:
        """A name that only the same images, labels, network, files and settings have."""
        weights = [w for _, w in sorted(self.network.state_dict().items())]
        files = [preset.to_json() for _, preset in self.files.measured()]
        settings = (self.loss_name, self.clean_weight, self.batch_size, self.seed)
        given = (of_images(self.images), self.labels, self.preprocessing, self.files.name)
        return fingerprint(*given, files, settings, self.feature_weight, *weights)


def _in_threads(
    view: Callable[[int], tuple[Tensor, Tensor]], places: Sequence[int]
) -> list[tuple[Tensor, Tensor]]:
    """Writing, decoding and resizing happen in C, where threads run side by side."""
    with ThreadPoolExecutor(min(torch.get_num_threads(), os.cpu_count() or 1)) as pool:
        return list(pool.map(view, places))
