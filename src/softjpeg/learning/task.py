"""What a learning run reads: networks, images and targets, and the loss between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softjpeg.functional.transform import image_to_coefficients
from softjpeg.learning.losses import Loss, curvature_draw, kl_loss
from softjpeg.learning.rate_control import Tables
from softjpeg.learning.sensitivity import coefficient_gradients, mean_squares
from softjpeg.models.inference import (
    check_inputs,
    check_labels,
    device_of,
    outputs_of,
    recompressed,
)

_LEAST_BATCHES = 8
_BAND_IMAGES = 128
"""Enough: by the standard errors measured on 60 photos, these slopes are known to about a quarter,
as they were on 400 images when bands moved one by one."""


class Task:
    """Networks, images and loss. What the first half of the images suggests, the second judges.

    Args: as in `softjpeg.learn`.
    """

    def __init__(
        self,
        models: nn.Module | Sequence[nn.Module],
        images: Tensor,
        labels: Tensor | None,
        loss: Loss | None,
        subsampling: str,
        batch_size: int,
        seed: int,
        worst_case: bool = False,
    ) -> None:
        check_inputs(images, labels, batch_size)
        if not 0 <= seed < 1 << 31:
            raise ValueError(f"seed must be from 0 to {(1 << 31) - 1}, got {seed}")
        self.models = [models] if isinstance(models, nn.Module) else list(models)
        if not self.models:
            raise ValueError("models must hold at least one network, got none")
        # Few images still make batches enough to tell a gain from chance.
        batch_size = max(1, min(batch_size, len(images) // _LEAST_BATCHES))
        self.images, self.labels, self.subsampling = images.cpu(), labels, subsampling
        self.custom, self.worst_case = loss, worst_case
        self.seed, self.batch_size = seed, batch_size
        self.kind = "custom" if loss else "KL" if labels is None else "cross-entropy"
        self.loss = loss or (kl_loss if labels is None else F.cross_entropy)
        self.outputs = [self._outputs(k) for k in range(len(self.models))]
        self.batches = [slice(i, i + batch_size) for i in range(0, len(images), batch_size)]
        half = -(-len(self.batches) // 2)
        self.measured, self.judged = self.batches[:half], self.batches[half:] or self.batches

    def _outputs(self, k: int) -> Tensor:
        try:
            outputs = outputs_of(self.models[k].eval(), self.images, self.batch_size)
            if self.labels is not None:
                check_labels(self.labels, outputs)
        except ValueError as error:
            raise ValueError(f"{self._prefix(k)}{error}") from error
        return outputs

    def with_subsampling(self, subsampling: str) -> Task:
        """The same task on files of another subsampling."""
        other = object.__new__(Task)
        other.__dict__.update(self.__dict__, subsampling=subsampling)
        return other

    def parts(self, name: str) -> list[slice]:
        """The batches of a pass."""
        if name == "sensitivity":
            return self.measured
        if name == "bands":
            # Evenly spread: images may lie in the order of their classes.
            enough = max(_LEAST_BATCHES, -(-_BAND_IMAGES // self.batch_size))
            return self.measured[:: max(1, len(self.measured) // enough)]
        return self.judged

    def losses(
        self,
        part: slice,
        candidates: Sequence[Tables],
        *,
        hardness: float | None = None,
        generator: torch.Generator | None = None,
    ) -> list[list[float]]:
        """The loss of a batch behind each of the tables, of each network."""

        return self._behind(
            part, candidates, lambda k, y: self._loss(k, y, part), hardness, generator
        )

    @torch.no_grad()
    def losses_of(self, part: slice, shown: Tensor) -> list[float]:
        """The loss of each network on what a batch's files show, uint8 (B, 3, H, W)."""
        batch = shown.to(device_of(self.models[0])).float() / 255
        count = len(self.models)
        return [self._loss(k, self._network(k, part)(batch), part) for k in range(count)]

    @torch.no_grad()
    def image_losses(self, part: slice, shown: Tensor) -> Tensor:
        """(B, networks): the loss of each single image, float64."""
        batch = shown.to(device_of(self.models[0])).float() / 255
        columns = []
        for k in range(len(self.models)):
            outputs, targets = self._network(k, part)(batch), self._targets(k, part)
            targets = targets.to(outputs.device)
            ones = [slice(i, i + 1) for i in range(len(outputs))]
            values = [float(self.loss(outputs[i], targets[i])) for i in ones]
            if not all(map(math.isfinite, values)):
                raise ValueError(f"{self._prefix(k)}the loss is not finite {self._where(part)}")
            columns.append(values)
        return torch.tensor(columns, dtype=torch.float64).T

    def _loss(self, k: int, outputs: Tensor, part: slice) -> float:
        value = float(self.loss(outputs, self._targets(k, part).to(outputs.device)))
        if value != value or abs(value) == float("inf"):
            raise ValueError(f"{self._prefix(k)}the loss is {value} {self._where(part)}")
        return value

    def kept(self, part: slice, tables: Tables) -> list[float]:
        """How many answers of a batch stay: right ones with labels, else the network's own."""

        def count(k: int, outputs: Tensor) -> float:
            return float((outputs.argmax(-1).cpu() == self._answers(k)[part]).sum())

        return self._behind(part, [tables], count, None, None)[0]

    def kept_uncompressed(self) -> list[float]:
        """The same on the uncompressed images of the judging half, of each network."""
        part = slice(self.judged[0].start, len(self.images))
        found = [output[part].argmax(-1) for output in self.outputs]
        return [float((x == self._answers(k)[part]).sum()) for k, x in enumerate(found)]

    def sensitivities(self, part: slice, tables: Tables, generator: torch.Generator) -> Tensor:
        """(networks, 3, 8, 8): mean squared gradient of a batch at the images behind tables."""
        return torch.stack([mean_squares(g) for _, g in self.gradients(part, tables, generator)])

    def gradients(
        self, part: slice, tables: Tables, generator: torch.Generator
    ) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
        """Of each network: a batch's coefficients, and the gradient of its summed loss there."""
        for k in range(len(self.models)):

            def summed(outputs: Tensor, targets: Tensor) -> Tensor:
                assert self.custom is not None
                return (outputs * curvature_draw(self.custom, outputs, targets, generator)).sum()

            z, gradients = coefficient_gradients(
                self._network(k, part),
                self.images[part],
                tables,
                self.subsampling,
                summed if self.custom else None,
                self._targets(k, part),
                generator=generator,
            )
            if not all(map(_is_finite, gradients)):
                where = self._where(part)
                raise ValueError(f"{self._prefix(k)}the gradient is not finite {where}")
            yield z, gradients

    @torch.no_grad()
    def _behind(
        self,
        part: slice,
        candidates: Sequence[Tables],
        measure: Callable[[int, Tensor], float],
        hardness: float | None,
        generator: torch.Generator | None,
    ) -> list[list[float]]:
        device = device_of(self.models[0])
        batch = self.images[part].to(device)
        z = image_to_coefficients(batch, self.subsampling, rounding=True)
        size = (batch.shape[-2], batch.shape[-1])
        rows = []
        for tables in candidates:
            shown = recompressed(
                z, tables, size, self.subsampling, hardness=hardness, generator=generator
            )
            count = len(self.models)
            rows.append([measure(k, self._network(k, part)(shown)) for k in range(count)])
        return rows

    def _network(self, k: int, part: slice) -> nn.Module:
        return _Checked(self.models[k], f"{self._prefix(k)}the network's output", self._where(part))

    def _targets(self, k: int, part: slice) -> Tensor:
        return (self.outputs[k] if self.labels is None else self.labels)[part]

    def _answers(self, k: int) -> Tensor:
        return self.outputs[k].argmax(-1) if self.labels is None else self.labels.cpu()

    def _prefix(self, k: int) -> str:
        return "" if len(self.models) == 1 else f"network {k + 1} of {len(self.models)}: "

    def _where(self, part: slice) -> str:
        return f"on compressed images {part.start} to {min(part.stop, len(self.images)) - 1}"


def _is_finite(tensor: Tensor) -> bool:
    # NaN is passed on by minimum and maximum; nothing of the tensor's size is made.
    return all(bool(torch.isfinite(bound)) for bound in tensor.aminmax())


class _Checked(nn.Module):
    """A network whose output must be a finite tensor."""

    def __init__(self, network: nn.Module, name: str, where: str) -> None:
        super().__init__()
        self.network, self.name, self.where = network, name, where

    def forward(self, images: Tensor) -> Tensor:
        device = device_of(self.network)
        output: Tensor = self.network(images.to(device))
        if not torch.isfinite(output).all():
            raise ValueError(f"{self.name} is not finite {self.where}")
        if images.requires_grad and not output.requires_grad:
            raise ValueError(f"{self.name} has no gradient: learning needs one in the image")
        return output
