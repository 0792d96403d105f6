"""A training run as a folder: start it, go on with it, load what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softjpeg.nn.wrapping import JPEGNetwork
from softjpeg.training.build import build_network, check_network
from softjpeg.training.checkpoint import load_checkpoint
from softjpeg.training.data.sources import open_split
from softjpeg.training.distributed import Group
from softjpeg.training.fit import fit
from softjpeg.training.initialize import initial_tables, needs_network
from softjpeg.training.plan import Run
from softjpeg.training.recipe import Recipe
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.seeding import seed_everything
from softjpeg.training.state import load_weights, new_state
from softjpeg.training.variants import with_variant

_INITIAL = 2**32 - 1
"""Stands for the step before the first in the key of the seeds."""


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What a checkpoint holds.

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


def train(
    tree: Mapping[str, Any],
    folder: Path,
    *,
    variant: str = "jpeg-dl",
    seed: int = 0,
    jpeg_at: str | None = None,
    group: Group | None = None,
    source: str = "recipe",
    progress: bool = False,
) -> dict[str, Any]:
    """Train one variant of a recipe with one seed, or go on where it was stopped.

    Args:
        tree: a recipe's keys, as `load_recipe` gives them.
        folder: of the experiment; the run's own is ``folder/VARIANT/seed-SEED``. A baseline that
            the tables' start needs is trained there too, first.
        variant: one of `VARIANTS`.
        seed: of everything random; at least 0.
        jpeg_at: put the layer after this module, by dotted path, whatever the recipe says.
        group: the processes; default this one.
        source: what errors call the recipe.
        progress: show progress bars.

    Returns:
        The final test, as `fit` gives it, which a finished run gives again without training.

    Raises:
        ValueError: a wrong recipe, missing data, a folder with a run of another recipe, or what
            `fit` raises.
    """
    group = group or Group()
    recipe = parse_recipe(with_variant(tree, variant, jpeg_at), source)
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    own = folder / variant / f"seed-{seed}"
    facts = {
        "variant": variant,
        "seed": seed,
        "world": group.world,
        "recipe": recipe.model_dump(mode="json"),
    }
    resumes = (own / "last.safetensors").is_file()
    if resumes:
        _, found = load_checkpoint(own / "last.safetensors")
        _check_same(found, facts, own)
        facts["initial_tables"] = found.get("initial_tables")
    images, tests = (open_split(recipe.data.name, recipe.data.root, t) for t in (True, False))
    # Now, not after hours of training a reference.
    check_network(recipe, len(images.classes))
    if group.leads:
        own.mkdir(parents=True, exist_ok=True)
    group.wait()
    facts["classes"] = list(images.classes)
    run = Run(recipe, seed, own, images, tests, group, facts, progress)
    tables = None
    if not resumes and recipe.jpeg.is_active:
        reference = _reference(tree, folder, recipe, len(images.classes), run, source)
        tables = initial_tables(recipe, images, reference.to(group.device), seed)
    # Every variant's network starts from the same weights.
    seed_everything(seed, _INITIAL)
    network = build_network(recipe, len(images.classes), tables, pretrained=not resumes)
    if not resumes and network.layer is not None:
        facts["initial_tables"] = network.layer.steps().tolist()
    return fit(run, new_state(network.to(group.device), recipe))


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


def is_run(path: str | Path) -> bool:
    """Whether a path looks like what `load_run` takes.

    >>> is_run("timm:resnet18")
    False
    """
    path = Path(path)
    if path.is_dir():
        return (path / "best.safetensors").is_file()
    return path.suffix == ".safetensors" and path.is_file()


def _reference(
    tree: Mapping[str, Any], folder: Path, recipe: Recipe, classes: int, run: Run, source: str
) -> JPEGNetwork:
    """The network whose statistics the tables start from."""
    if recipe.jpeg.init_from:
        trained = load_run(recipe.jpeg.init_from)
        if len(trained.classes) != classes:
            raise ValueError(
                f"jpeg.init_from {recipe.jpeg.init_from} has {len(trained.classes)} classes, "
                f"the data set {classes}"
            )
        return trained.network
    if needs_network(recipe) and not recipe.model.pretrained:
        train(
            tree,
            folder,
            variant="baseline",
            seed=run.seed,
            group=run.group,
            source=source,
            progress=run.progress,
        )
        return load_run(folder / "baseline" / f"seed-{run.seed}" / "last.safetensors").network
    seed_everything(run.seed, _INITIAL)
    without = recipe.model_copy(
        update={"jpeg": recipe.jpeg.model_copy(update={"quantizer": "none", "zero_dc": False})}
    )
    return build_network(without, classes)


def _check_same(found: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> None:
    """Going on with other settings would be neither the old run nor the new one."""
    old, new = _deciding(found["recipe"]), _deciding(facts["recipe"])
    for key in (*new, *old):
        if old.get(key) != new.get(key):
            raise ValueError(
                f"{folder} holds a run with {key} = {json.dumps(old.get(key))}, not "
                f"{json.dumps(new.get(key))}: give another --out"
            )
    if found["world"] != facts["world"]:
        raise ValueError(
            f"{folder} holds a run of {found['world']} processes, not {facts['world']}: "
            "give another --out"
        )


_FREE = {
    "data.workers",
    "data.root",
    "data.skip_bad",
    "train.max_steps",
    "train.checkpoint_every",
    "train.log_every",
    "train.tensorboard",
}
"""Settings that a run may go on with another value of: they do not change its steps."""


def _deciding(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide a run, by dotted keys."""
    sections = ["data", "model", "jpeg", "optimizer", "jpeg_optimizer", "schedule", "train"]
    jpeg = recipe["jpeg"]
    if jpeg["quantizer"] == "none" and not jpeg["zero_dc"]:
        # One baseline serves variants whose layers differ.
        sections = [s for s in sections if not s.startswith("jpeg")]
    keys = {f"{s}.{k}": value for s in sections for k, value in recipe[s].items()}
    return {key: value for key, value in keys.items() if key not in _FREE}
