"""What a run's checkpoint holds: the network, and how it was trained."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softjpeg.nn.wrapping import JPEGNetwork
from softjpeg.training.build import build_network
from softjpeg.training.checkpoint import load_checkpoint
from softjpeg.training.recipe import Recipe
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.run_facts import check_facts
from softjpeg.training.state import load_weights


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network as training left it.

    Attributes:
        network: from RGB in [0, 1] to logits, in eval mode.
        recipe, variant, seed: how it was trained.
        classes: the classes' names.
        facts: all that the checkpoint says, its step and result among it.
    """

    network: JPEGNetwork
    recipe: Recipe
    variant: str
    seed: int
    classes: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def initial_tables(self) -> Tensor | None:
        """(rounds, kinds, 8, 8) steps before training; None without a layer."""
        values = self.facts.get("initial_tables")
        return None if values is None else torch.tensor(values, dtype=torch.float32)


def load_run(
    path: str | Path, *, trust: bool | Collection[str | os.PathLike[str]] = False
) -> TrainedNetwork:
    """The network of a checkpoint. Loading it runs no code, but what `trust` allows.

    Args:
        path: a ``.safetensors`` that training wrote, or a run's folder: its best one.
        trust: Python files that may be run where the checkpoint says that its network is
            ``FILE.py:FACTORY`` of one of them; True for whatever file it names.

    Raises:
        ValueError: there is none, or it is damaged, or its network is of a file that is not
            trusted.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "best.safetensors"
        if not file.is_file():
            raise ValueError(f"{path} is not the folder of a training run: no best.safetensors")
    tensors, facts = load_checkpoint(file)
    check_facts(facts, file)
    recipe = parse_recipe(facts["recipe"], str(file))
    _check_trust(recipe.model.name, trust, file)
    network = build_network(recipe, len(facts["classes"]), pretrained=False)
    averaged = {
        name.removeprefix("ema.module."): value
        for name, value in tensors.items()
        if name.startswith("ema.module.")
    }
    load_weights(network, averaged or tensors, file)
    classes = tuple(facts["classes"])
    return TrainedNetwork(network.eval(), recipe, facts["variant"], facts["seed"], classes, facts)


def _check_trust(
    network: str, trust: bool | Collection[str | os.PathLike[str]], checkpoint: Path
) -> None:
    source = Path(network.rpartition(":")[0])
    if source.suffix != ".py" or trust is True:
        return
    if not trust or source.resolve() not in {Path(file).resolve() for file in trust}:
        raise ValueError(
            f"{checkpoint} names a network of the file {source}, which is not run unasked: if you "
            f"trust it, say softjpeg --trust {source} COMMAND ..., or load_run(..., trust=True)"
        )
