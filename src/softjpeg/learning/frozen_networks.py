"""The networks that tables are learned for, and the images that each of them has read once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from softjpeg.common.image_sequence import Images
from softjpeg.learning.checkpoint import fingerprint, of_images
from softjpeg.learning.halves import fitting_batch_size
from softjpeg.learning.losses import Loss, default_loss
from softjpeg.models.fidelity import agree, check_scores
from softjpeg.models.folded import folded_on
from softjpeg.models.inference import check_inputs, check_labels, device_of, outputs_of
from softjpeg.models.preprocessing import Preprocessed


class FrozenNetworks:
    """One or several networks, with their outputs on uncompressed images.

    Args:
        models: from (B, 3, H, W) RGB in [0, 1] to outputs (B, ...); put in eval mode.
        images: uint8, (N, 3, H, W), or several (3, H, W) of any sizes that the networks read.
        labels: (N,) class indices; None where the targets are each network's own outputs.
        loss: from (outputs, targets) to the mean over a batch; None for KL divergence, or with
            labels for cross-entropy.
        batch_size: images read at once; fewer where there are few images.

    Attributes:
        outputs: of each network, (N, ...), on the CPU.
        loss: the one in use; `custom_loss` is the argument, None where that was None.
        loss_kind: "KL", "cross-entropy" or "custom".

    Raises:
        ValueError: no network, images or labels of a wrong shape or type, or a network that cannot
            read the images, or whose output is not finite or tells the loss nothing; of several it
            is named.
    """

    def __init__(
        self,
        models: nn.Module | Sequence[nn.Module],
        images: Images,
        labels: Tensor | None = None,
        loss: Loss | None = None,
        batch_size: int = 32,
    ) -> None:
        check_inputs(images, labels, batch_size)
        self.models = [models] if isinstance(models, nn.Module) else list(models)
        if not self.models:
            raise ValueError("models must hold at least one network, got none")
        self.batch_size = fitting_batch_size(len(images), batch_size)
        self.images: Images = images.cpu() if isinstance(images, Tensor) else images
        self.labels, self.custom_loss = labels, loss
        self.loss_kind = "custom" if loss else "KL" if labels is None else "cross-entropy"
        self.loss: Loss = loss or default_loss(labels)
        self.outputs = [self._read_uncompressed(k) for k in range(len(self.models))]
        # What reads compressed images many times.
        self._readers = [folded_on(self.images, model) for model in self.models]

    def __len__(self) -> int:
        return len(self.models)

    @property
    def device(self) -> torch.device:
        """Where the first network is."""
        return device_of(self.models[0])

    @cached_property
    def digest(self) -> str:
        """A name that only the same images, labels, weights and preprocessing have."""
        # Not the outputs: another number of threads may change their last bit.
        weights = [w for model in self.models for _, w in sorted(model.state_dict().items())]
        # No weight tells of it.
        preprocessing = [
            model.preprocessing if isinstance(model, Preprocessed) else None
            for model in self.models
        ]
        return fingerprint(of_images(self.images), self.labels, preprocessing, *weights)

    def checked(self, k: int, part: slice) -> nn.Module:
        """Network k, refusing to give an output that is not finite on compressed images `part`."""
        name = f"{self._prefix(k)}the network's output"
        return _CheckedNetwork(self._readers[k], name, self._where(part))

    def targets(self, k: int, part: slice) -> Tensor:
        """What the loss compares network k's outputs on images `part` with."""
        return (self.outputs[k] if self.labels is None else self.labels)[part]

    def kept(self, k: int, outputs: Tensor, part: slice) -> float:
        """How many of network k's answers on images `part` are kept: right ones, or its own.

        Args:
            k: index of the network.
            outputs: (B, classes, ...) of that network; of many positions, each counts its share.
            part: the images of the batch.
        """
        if self.labels is None:
            return float(agree(outputs.cpu(), self.outputs[k][part]).sum())
        return float((outputs.argmax(-1).cpu() == self.labels[part].cpu()).sum())

    def loss_of(self, k: int, outputs: Tensor, part: slice) -> float:
        """Network k's mean loss on a batch.

        Args:
            k: index of the network.
            outputs: (B, ...) of that network.
            part: the images of the batch.

        Raises:
            ValueError: it is not finite.
        """
        value = float(self.loss(outputs, self.targets(k, part).to(outputs.device)))
        if not math.isfinite(value):
            raise self.error(k, f"the loss is {value}", part)
        return value

    def error(self, k: int, words: str, part: slice) -> ValueError:
        """An error that names the network and the images.

        Args:
            k: index of the network.
            words: what is wrong.
            part: the compressed images it is wrong on.
        """
        return ValueError(f"{self._prefix(k)}{words} {self._where(part)}")

    def _read_uncompressed(self, k: int) -> Tensor:
        try:
            outputs = outputs_of(self.models[k].eval(), self.images, self.batch_size)
            if self.custom_loss is None:
                check_scores(outputs, self.loss_kind, "take --loss mse or cosine")
            if self.labels is not None:
                if outputs.ndim != 2:
                    shape = tuple(outputs.shape)
                    raise ValueError(f"labels are for outputs (N, classes), got {shape}")
                check_labels(self.labels, outputs)
                if self.custom_loss is None and self.labels.min() < 0:
                    raise ValueError("labels must be given for every image to learn from, got -1")
        except ValueError as error:
            raise ValueError(f"{self._prefix(k)}{error}") from error
        return outputs

    def _prefix(self, k: int) -> str:
        return "" if len(self) == 1 else f"network {k + 1} of {len(self)}: "

    def _where(self, part: slice) -> str:
        return f"on compressed images {part.start} to {min(part.stop, len(self.images)) - 1}"


class _CheckedNetwork(nn.Module):
    """A network whose output must be a finite tensor."""

    def __init__(self, network: nn.Module, name: str, where: str) -> None:
        super().__init__()
        self.network, self.name, self.where = network, name, where

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.network(images.to(device_of(self.network)))
        if not torch.isfinite(output).all():
            raise ValueError(f"{self.name} is not finite {self.where}")
        if images.requires_grad and not output.requires_grad:
            raise ValueError(f"{self.name} has no gradient: learning needs one in the image")
        return output
