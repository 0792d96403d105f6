"""A network with its adapter, which acts on each image as strongly as its own file says."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn
from torch.func import functional_call

from softjpeg.adaptation.adapted_norm import Strengths, with_adapted_norms
from softjpeg.adaptation.adapter import Adapter, network_of, read_strength
from softjpeg.common.image_sequence import in_place
from softjpeg.models.inference import device_of, outputs_of
from softjpeg.models.preprocessing import Preprocessed

_SMALL = ("norm", "statistics")
"""Weights so few that each image of a batch can have its own."""


class AdaptedNetwork(nn.Module):
    """A network that reads each image at its own strength.

    Args:
        reader: the network, as it was when the adapter was made; also behind its preprocessing. It
            is not changed.
        adapter: of that network.

    Raises:
        ValueError: the adapter belongs to another network.
    """

    def __init__(self, reader: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        adapter.check(reader)
        if adapter.train == "front":
            reader = copy.deepcopy(reader)
            adapter.insert(network_of(reader))
        self.reader, self.adapter = reader.eval(), adapter
        self._mixing: tuple[nn.Module, Strengths] | None = None

    def forward(self, images: Tensor, strengths: Tensor | float = 0.0) -> Tensor:
        """The network's output.

        Args:
            images: (B, 3, H, W) RGB in [0, 1].
            strengths: (B,) from 0 to 1, or one for all; at 0 the answer is the frozen network's.

        Returns:
            (B, ...).
        """
        if isinstance(strengths, (int, float)):
            return self._at(images, strengths)
        found = strengths.tolist()
        if len(found) != len(images):
            raise ValueError(f"strengths must be {len(images)}, one an image, got {len(found)}")
        groups: dict[float, list[int]] = {}
        for place, strength in enumerate(found):
            groups.setdefault(strength, []).append(place)
        frozen = groups.pop(0.0, [])
        outputs = [(frozen, self._at(images[frozen], 0.0))] if frozen else []
        if len(groups) > 1 and self.adapter.train in _SMALL:
            mixed = [place for places in groups.values() for place in places]
            outputs.append((mixed, self._each(images[mixed], strengths[mixed])))
        else:
            outputs += [(p, self._at(images[p], strength)) for strength, p in groups.items()]
        return in_place(outputs)

    def outputs_of_files(
        self, images: Sequence[Tensor], files: Sequence[bytes], batch_size: int = 32
    ) -> Tensor:
        """The network's output on decoded files, each at the strength that its tables ask for.

        Args:
            images: uint8 (3, H, W) each, as `files` show them.
            files: the bytes of each; those that are no JPEG get the frozen network's answer.
            batch_size: images per forward pass.

        Returns:
            (N, ...) on the CPU.
        """
        groups: dict[float, list[int]] = {}
        for place, data in enumerate(files):
            groups.setdefault(read_strength(data, self.adapter), []).append(place)
        return in_place(
            [
                (places, outputs_of(self.at(strength), [images[i] for i in places], batch_size))
                for strength, places in groups.items()
            ]
        )

    def at(self, strength: float) -> nn.Module:
        """The network at one strength for all images."""
        return _AtStrength(self, strength)

    def _at(self, images: Tensor, strength: float) -> Tensor:
        if strength == 0:
            output: Tensor = self.reader(images)
            return output
        network, images = self._prepared(images)
        device = device_of(network)
        weights = {n: w.to(device) for n, w in self.adapter.weights(strength).items()}
        output = functional_call(network, weights, (images,))
        return output

    def _each(self, images: Tensor, strengths: Tensor) -> Tensor:
        """All images in one pass, each with normalization weights of its own."""
        network, images = self._prepared(images)
        if self._mixing is None:
            shared = Strengths()
            own = with_adapted_norms(network, self.adapter.base, self.adapter.adapted, shared)
            # In a tuple: its weights are the network's, and no second ones.
            self._mixing = (own, shared)
        mixing, shared = self._mixing
        shared.values = strengths
        output: Tensor = mixing(images)
        return output

    def _prepared(self, images: Tensor) -> tuple[nn.Module, Tensor]:
        if isinstance(self.reader, Preprocessed):
            return self.reader.network, self.reader.preprocessing(images)
        return self.reader, images


class _AtStrength(nn.Module):
    def __init__(self, adapted: AdaptedNetwork, strength: float) -> None:
        super().__init__()
        self.adapted, self.strength = adapted, strength

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.adapted(images, self.strength)
        return output
