"""What a run's checkpoint holds: the network, and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
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
        return None if values is None else torch.tensor(values)


def load_run(path: str | Path) -> TrainedNetwork:
    """The network of a checkpoint.

    Args:
        path: a ``.safetensors`` that training wrote, or a run's folder: its best one.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    file = Path(path)
    if file.is_dir():
        file = file / "best.safetensors"
        if not file.is_file():
            raise ValueError(f"{path} is not the folder of a training run: no best.safetensors")
    tensors, facts = load_checkpoint(file)
    recipe = parse_recipe(facts["recipe"], str(file))
    network = build_network(recipe, len(facts["classes"]), pretrained=False)
    averaged = {
        name.removeprefix("ema.module."): value
        for name, value in tensors.items()
        if name.startswith("ema.module.")
    }
    load_weights(network, averaged or tensors, file)
    classes = tuple(facts["classes"])
    return TrainedNetwork(network.eval(), recipe, facts["variant"], facts["seed"], classes, facts)
