"""`Adapter`: what adapting leaves behind, one small file; into its network, and out again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from softjpeg.adaptation.front import FRONT, Front, has_front, insert_front, remove_front
from softjpeg.adaptation.strength import StrengthCurve, step_of
from softjpeg.adaptation.trained_weights import Train
from softjpeg.common.brief import brief
from softjpeg.common.files import write_atomically
from softjpeg.common.hub import hub_file, is_on_hub
from softjpeg.learning.checkpoint import fingerprint
from softjpeg.models.preprocessing import Preprocessed

FORMAT, VERSION = "softjpeg-adapter", 1
HUB_FILE = "adapter.safetensors"
"""What a repository of the Hub calls its adapter."""
_BASE, _ADAPTED = "base.", "adapted."


def network_of(reader: nn.Module) -> nn.Module:
    """The network whose weights are meant: without the preprocessing before it."""
    return reader.network if isinstance(reader, Preprocessed) else reader


def weights_fingerprint(network: nn.Module) -> str:
    """A name that only networks of the same weights have; a front before them does not count.

    >>> layer = nn.Linear(2, 1)
    >>> weights_fingerprint(layer) == weights_fingerprint(nn.Linear(2, 1))
    False
    """
    own = {n: w for n, w in network.state_dict().items() if not n.startswith(f"{FRONT}.")}
    return fingerprint(*(part for name in sorted(own) for part in (name, own[name])))


@dataclass(frozen=True, eq=False)
class Adapter:
    """A network's changed weights, and how strongly they act on which file.

    Attributes:
        train: what was trained, see `softjpeg.adaptation.trained_weights.Train`.
        base, adapted: the changed tensors by their names in the network's state dict, before and
            after; at strength t the weights are ``base + t·(adapted - base)``.
        fingerprint: of the network they belong to, `weights_fingerprint`.
        strength: over a file's luma steps; see `softjpeg.read_strength`.
        fixed_strength: for readers that do not know the files: the largest measured strength at
            which originals lose no more than they were allowed to.
        provenance: anything JSON can hold: files, images, seed, versions, figures.

    Raises:
        ValueError: fields that do not belong together.
    """

    train: Train
    base: Mapping[str, Tensor]
    adapted: Mapping[str, Tensor]
    fingerprint: str
    strength: StrengthCurve
    fixed_strength: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.train not in get_args(Train):
            raise ValueError(f"train must be one of {', '.join(get_args(Train))}: {self.train!r}")
        if not self.base or self.base.keys() != self.adapted.keys():
            raise ValueError("base and adapted must hold the same names, at least one")
        for name, weight in self.base.items():
            if weight.shape != self.adapted[name].shape:
                raise ValueError(f"base and adapted must be of one shape, but {name} is of two")
        if not isinstance(self.fingerprint, str):
            raise ValueError(f"fingerprint must be text, got {brief(self.fingerprint)}")
        if not isinstance(self.provenance, Mapping):
            raise ValueError(f"provenance must be an object, got {brief(self.provenance)}")
        if not 0 <= self.fixed_strength <= 1:
            raise ValueError(f"fixed_strength must be from 0 to 1, got {self.fixed_strength}")

    def weights(self, strength: float) -> dict[str, Tensor]:
        """The changed tensors at a strength from 0 to 1; at both ends exactly what is stored."""
        return {n: torch.lerp(w, self.adapted[n], strength) for n, w in self.base.items()}

    def check(self, network: nn.Module) -> None:
        """Refuse a network that it was not made for.

        Raises:
            ValueError: other weights than those it was trained from.
        """
        if weights_fingerprint(network_of(network)) != self.fingerprint:
            raise ValueError("the adapter belongs to another network: the weights differ")

    def apply(self, network: nn.Module, strength: float | None = None) -> None:
        """Write the changed weights into the network they belong to, for every file alike.

        Args:
            network: changed in place; as it was when the adapter was made.
            strength: from 0 to 1; None for `fixed_strength`.

        Raises:
            ValueError: another network, or a strength out of its range.
        """
        strength = self.fixed_strength if strength is None else strength
        if not 0 <= strength <= 1:
            raise ValueError(f"strength must be from 0 to 1, got {strength}")
        self.check(network)
        self.insert(network_of(network))
        _write(network_of(network), self.weights(strength))

    def remove(self, network: nn.Module) -> None:
        """Undo `apply`, whatever its strength was: every weight is as before, bit for bit.

        Raises:
            ValueError: a network that is not what `apply` leaves; it stays as it is.
        """
        module = network_of(network)
        now = module.state_dict()
        if not self.base.keys() <= now.keys():
            raise ValueError("the adapter is not in this network: a weight of it is missing")
        found = {name: now[name].clone() for name in self.base}
        _write(module, self.base)
        if weights_fingerprint(module) != self.fingerprint:
            _write(module, found)
            raise ValueError("the adapter is not in this network: other weights differ, too")
        if self.train == "front":
            remove_front(module)

    def insert(self, network: nn.Module) -> None:
        """Make the places that its tensors need: a front, at strength 0."""
        if self.train == "front" and not has_front(network):
            front = Front().to(next((p.device for p in network.parameters()), "cpu"))
            insert_front(network, front)
            _write(network, self.base)

    def to_bytes(self) -> bytes:
        """The adapter as a safetensors file; the same for the same adapter."""
        tensors = {f"{_BASE}{name}": weight for name, weight in self.base.items()}
        tensors |= {f"{_ADAPTED}{name}": weight for name, weight in self.adapted.items()}
        facts = {
            "format": FORMAT,
            "version": VERSION,
            "train": self.train,
            "fingerprint": self.fingerprint,
            "strength": self.strength.points,
            "fixed_strength": self.fixed_strength,
            "provenance": self.provenance,
        }
        dense = {n: w.detach().cpu().clone().contiguous() for n, w in sorted(tensors.items())}
        return save(dense, {"softjpeg": json.dumps(facts, sort_keys=True, allow_nan=False)})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the adapter to a file, all of it or none."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Adapter:
        """Read what `save` wrote.

        Args:
            path: of the file, or hub:ORG/NAME, see `softjpeg.common.hub.hub_file`.

        Raises:
            ValueError: no such file, or it is no adapter; the sentence names it.
        """
        if is_on_hub(path):
            path = hub_file(path, HUB_FILE)
        if not Path(path).is_file():
            raise ValueError(f"adapter {os.fspath(path)} does not exist")
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads((file.metadata() or {})["softjpeg"])
                # Copies: else they would change with the file.
                names = file.keys()
                tensors = {name: file.get_tensor(name).clone() for name in names}
            if (facts["format"], facts["version"]) != (FORMAT, VERSION):
                raise ValueError(f"its format is {facts['format']} {facts['version']}")
            base, adapted = (
                {n.removeprefix(p): w for n, w in tensors.items() if n.startswith(p)}
                for p in (_BASE, _ADAPTED)
            )
            return cls(
                facts["train"],
                base,
                adapted,
                facts["fingerprint"],
                StrengthCurve(tuple(map(tuple, facts["strength"]))),
                facts["fixed_strength"],
                facts["provenance"],
            )
        except KeyError as error:
            raise ValueError(f"{os.fspath(path)} is not an adapter: it has no {error}") from error
        # Facts of other types, beyond 64 bits or nested without end; a damaged file.
        except (ValueError, TypeError, ArithmeticError, RecursionError, SafetensorError) as error:
            reason = str(error).split("\n")[0]
            raise ValueError(f"{os.fspath(path)} is not an adapter: {reason}") from error


def read_strength(
    source: bytes | str | os.PathLike[str] | Mapping[str, Any], adapter: Adapter
) -> float:
    """How strongly an adapter acts on a file.

    Args:
        source: the file's bytes or path, or its tables (8, 8), luma first.
        adapter: whose curve is asked.

    Returns:
        From 0 to 1; 0 for a file that is no JPEG.

    Raises:
        ValueError: a JPEG file that is damaged.
        OSError: the path cannot be read.

    >>> weights = {"weight": torch.ones(2)}
    >>> adapter = Adapter("all", weights, weights, "", StrengthCurve(((4.0, 0.5),)))
    >>> read_strength({"Y": torch.full((8, 8), 4)}, adapter)
    0.25
    """
    return adapter.strength.at(step_of(source))


@torch.no_grad()
def _write(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    state = network.state_dict()
    for name, weight in weights.items():
        state[name].copy_(weight)
