"""What learning minimizes: the networks' loss on compressed images, one half beside the other.

What the first half of the images suggests, the second half judges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from softjpeg.codec.stored_size import stored_images
from softjpeg.common.image_sequence import Images, in_place, same_size_groups
from softjpeg.functional.recompression import recompressed
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.subsampling import Subsampling
from softjpeg.learning.frozen_networks import FrozenNetworks
from softjpeg.learning.halves import halves
from softjpeg.learning.image_rates import ImageRates, Tables
from softjpeg.learning.losses import curvature_draw, losses_one_by_one
from softjpeg.learning.sensitivity import coefficient_gradients, mean_of_groups, mean_squares


@dataclass(frozen=True, eq=False)
class Objective:
    """Losses of networks behind tables, batch by batch.

    Attributes:
        networks: with the images and the loss.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        seed: of everything random.
        worst_case: of several networks, the one that gains least counts, not their average.
        short_side: of the stored images, as `Preset` has it; None for the images' own size.
        center: what of them is stored whole, as `Preset` has it.
    """

    networks: FrozenNetworks
    subsampling: Subsampling
    seed: int = 0
    worst_case: bool = False
    short_side: int | None = None
    center: float | None = None

    @property
    def images(self) -> Images:
        """uint8, as the networks have them."""
        return self.networks.images

    @property
    def measured(self) -> list[slice]:
        """The batches that tables are derived from."""
        return halves(len(self.images), self.networks.batch_size)[0]

    @property
    def judged(self) -> list[slice]:
        """The batches that candidates are compared on; the same where there is only one."""
        return halves(len(self.images), self.networks.batch_size)[1]

    @cached_property
    def rates(self) -> ImageRates:
        """What files of the images cost, in this subsampling, as they are stored."""
        return ImageRates(self.images, self.subsampling, self.short_side, self.center)

    def storing(self, **stored: Any) -> Objective:
        """The same, storing another part of the images; itself, with the rates it knows, if not.

        Args:
            stored: `short_side` or `center`.
        """
        known = {name: getattr(self, name) for name in stored}
        return self if stored == known else replace(self, **stored)

    def draws(self, number: int) -> torch.Generator:
        """A generator on the CPU, of the seed's and a number's own."""
        # PyTorch takes a seed's low 32 bits alone; an odd factor keeps all seeds apart there.
        return torch.Generator().manual_seed((self.seed * 0x9E3779B1 + number) % (1 << 32))

    def losses(
        self,
        part: slice,
        candidates: Sequence[Tables],
        *,
        hardness: float | None = None,
        generator: torch.Generator | None = None,
    ) -> list[list[float]]:
        """Mean loss of a batch behind each of the tables, for each network.

        Args:
            part: the batch.
            candidates: (luma, chroma) each, (8, 8) > 0.
            hardness: draw coefficients from the CPMF of this h = αq²; None rounds them.
            generator: of the draws, on the CPU.
        """

        def loss(k: int, outputs: Tensor) -> float:
            return self.networks.loss_of(k, outputs, part)

        return self._measured(part, candidates, loss, hardness, generator)

    @torch.no_grad()
    def file_losses(self, part: slice, shown: Images) -> list[float]:
        """Mean loss of each network on what a batch's files show, uint8."""
        outputs = self._outputs_on_files(part, shown)
        return [self.networks.loss_of(k, output, part) for k, output in enumerate(outputs)]

    @torch.no_grad()
    def image_losses(self, part: slice, shown: Images) -> Tensor:
        """The same of each single image: (B, networks) float64."""
        columns = []
        for k, outputs in enumerate(self._outputs_on_files(part, shown)):
            targets = self.networks.targets(k, part).to(outputs.device)
            values = losses_one_by_one(self.networks.loss, outputs, targets)
            if not all(map(math.isfinite, values)):
                raise self.networks.error(k, "the loss is not finite", part)
            columns.append(values)
        return torch.tensor(columns, dtype=torch.float64).T

    def kept_answers(self, part: slice, tables: Tables) -> list[float]:
        """How many answers of a batch stay behind tables, of each network.

        Right ones with labels, else the network's own.
        """

        def count(k: int, outputs: Tensor) -> float:
            return self.networks.kept(k, outputs, part)

        return self._measured(part, [tables], count, None, None)[0]

    def kept_uncompressed(self) -> list[float]:
        """The same on the uncompressed images of the judging half."""
        part = slice(self.judged[0].start, len(self.images))
        each = enumerate(self.networks.outputs)
        return [self.networks.kept(k, outputs[part], part) for k, outputs in each]

    def sensitivities(self, part: slice, tables: Tables, generator: torch.Generator) -> Tensor:
        """Mean squared gradient of a batch at the images behind tables.

        Args:
            part: the batch.
            tables: (luma, chroma).
            generator: of the labels or signs that are drawn, on the CPU.

        Returns:
            (networks, 3, 8, 8) float64.
        """
        squares: list[list[Tensor]] = [[] for _ in range(len(self.networks))]
        blocks: list[list[Tensor]] = [[] for _ in squares]
        for k, _, gradients in self.gradients(part, tables, generator):
            squares[k].append(mean_squares(gradients))
            blocks[k].append(torch.tensor([g[..., 0, 0].numel() for g in gradients]))
        return torch.stack([mean_of_groups(*pair) for pair in zip(squares, blocks, strict=True)])

    def gradients(
        self, part: slice, tables: Tables, generator: torch.Generator
    ) -> Iterator[tuple[int, tuple[Tensor, ...], tuple[Tensor, ...]]]:
        """Coefficients of a batch, and the gradient of its summed loss behind tables.

        Args:
            part: the batch.
            tables: (luma, chroma).
            generator: of the labels or signs that are drawn, on the CPU.

        Yields:
            Of each network and size of image: the network's index, coefficients and gradients, each
            of Y, Cb, Cr (B, rows, columns, 8, 8).
        """
        custom = self.networks.custom_loss
        groups = same_size_groups(self.stored(part))
        for k in range(len(self.networks)):

            def summed(outputs: Tensor, targets: Tensor) -> Tensor:
                assert custom is not None
                return (outputs * curvature_draw(custom, outputs, targets, generator)).sum()

            network, targets = self.networks.checked(k, part), self.networks.targets(k, part)
            for places, images in groups:
                z, gradients = coefficient_gradients(
                    network,
                    images,
                    tables,
                    self.subsampling,
                    summed if custom else None,
                    targets[places],
                    generator=generator,
                )
                if not all(map(_is_finite, gradients)):
                    raise self.networks.error(k, "the gradient is not finite", part)
                yield k, z, gradients

    @torch.no_grad()
    def _measured(
        self,
        part: slice,
        candidates: Sequence[Tables],
        measure: Callable[[int, Tensor], float],
        hardness: float | None,
        generator: torch.Generator | None,
    ) -> list[list[float]]:
        """For each of the tables and each network, a number of (network, its outputs)."""
        groups = []
        for places, images in same_size_groups(self.stored(part)):
            z = image_to_coefficients(
                images.to(self.networks.device), self.subsampling, rounding=True
            )
            groups.append((places, z, (images.shape[-2], images.shape[-1])))
        rows = []
        for tables in candidates:
            shown = [
                (
                    places,
                    recompressed(
                        z, tables, size, self.subsampling, hardness=hardness, generator=generator
                    ),
                )
                for places, z, size in groups
            ]
            networks = range(len(self.networks))
            rows.append([measure(k, self._outputs(k, part, shown)) for k in networks])
        return rows

    def stored(self, part: slice) -> Images:
        """A batch as it is encoded."""
        return stored_images(self.images[part], self.short_side, self.center)

    def _outputs_on_files(self, part: slice, shown: Images) -> Iterator[Tensor]:
        groups = [
            (places, images.to(self.networks.device).float() / 255)
            for places, images in same_size_groups(shown)
        ]
        for k in range(len(self.networks)):
            yield self._outputs(k, part, groups)

    def _outputs(self, k: int, part: slice, shown: Sequence[tuple[list[int], Tensor]]) -> Tensor:
        """Network k's outputs on a batch of images in [0, 1] that are grouped by their size."""
        network = self.networks.checked(k, part)
        return in_place([(places, network(images)) for places, images in shown])


def _is_finite(tensor: Tensor) -> bool:
    # NaN is passed on by minimum and maximum; nothing of the tensor's size is made.
    return all(bool(torch.isfinite(bound)) for bound in tensor.aminmax())
