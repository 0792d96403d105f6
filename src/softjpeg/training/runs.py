"""The runs of an experiment: all of them, or one; each is begun, or gone on with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from softjpeg.common.files import remove_orphans
from softjpeg.common.locks import sole_writer
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.wrapping import JPEGNetwork
from softjpeg.training.build import build_network, check_network
from softjpeg.training.data.memory import in_memory
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.split import Split
from softjpeg.training.distributed import Group
from softjpeg.training.experiment import Experiment
from softjpeg.training.fit import fit
from softjpeg.training.initialize import first_batches, initial_tables
from softjpeg.training.plan import Run
from softjpeg.training.published_sensitivity import SUFFIX
from softjpeg.training.recipe import Recipe
from softjpeg.training.regime import regime
from softjpeg.training.resuming import facts_of_last
from softjpeg.training.seeding import seed_everything
from softjpeg.training.state import new_state
from softjpeg.training.summary import VariantResult
from softjpeg.training.trained_network import load_run

_INITIAL = 2**32 - 1
"""Stands for the step before the first in the key of the seeds."""


def sweep(
    experiment: Experiment,
    seeds: Sequence[int],
    *,
    group: Group | None = None,
    progress: bool = False,
) -> list[VariantResult]:
    """Train every variant with every seed; runs that have ended are not trained again.

    Args:
        experiment: its variants, and where they go.
        seeds: at least 0, each once.
        group: the processes; default this one.
        progress: show progress bars.

    Raises:
        ValueError: repeated seeds, or what `train` raises.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be given once each, got {', '.join(map(str, seeds))}")
    tests: dict[str, list[dict[str, Any]]] = {variant: [] for variant in experiment.variants}
    # Seed by seed: the first complete comparison comes early.
    for seed in seeds:
        for variant, results in tests.items():
            results.append(train(experiment, variant, seed, group=group, progress=progress))
    return [
        VariantResult(
            variant,
            tuple(seeds),
            tuple(test["top1"] for test in results),
            tuple(test["best_top1"] for test in results),
        )
        for variant, results in tests.items()
    ]


def train(
    experiment: Experiment,
    variant: str = "jpeg-dl",
    seed: int = 0,
    *,
    group: Group | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train one variant with one seed, or go on where it was stopped.

    Args:
        experiment: its recipes and its folder. A baseline that the tables' start needs is trained
            there too, first.
        variant: one of the experiment's.
        seed: of everything random; at least 0.
        group: the processes; default this one.
        progress: show progress bars.

    Returns:
        The final test, as `fit` returns it, which a finished run returns again without training.

    Raises:
        ValueError: a negative seed, missing data, a network that does not fit it, a folder with a
            run of another recipe, or what `fit` raises.
    """
    group = group or Group()
    recipe = experiment.recipes[variant]
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    folder = experiment.run_folder(variant, seed)
    last = facts_of_last(folder, recipe, group.world)
    images, tests = (_opened(recipe, train) for train in (True, False))
    classes = len(images.classes)
    # Now, not after hours of training a reference.
    check_network(recipe, classes)
    if group.leads:
        folder.mkdir(parents=True, exist_ok=True)
    group.wait()
    tables = None
    if last is None and recipe.jpeg.is_active:
        if recipe.needs_baseline:
            train(experiment, "baseline", seed, group=group, progress=progress)
        reference = _reference(experiment, recipe, seed, classes).to(group.device)
        tables = initial_tables(recipe, images, reference, seed)
    # Every variant's network starts from the same weights.
    seed_everything(seed, _INITIAL)
    network = build_network(recipe, classes, tables, pretrained=last is None)
    if last is not None:
        start = last.get("initial_tables")
    else:
        start = None if network.layer is None else network.layer.steps().tolist()
    said = None
    if last is not None:
        said = last.get("start")
    elif isinstance(network.layer, JPEGLayer):
        aloud = progress and group.leads
        said = _regime(network.layer, recipe, images, seed, aloud=aloud)
    facts = {
        **({} if said is None else {"start": said}),
        "variant": variant,
        "seed": seed,
        "world": group.world,
        "recipe": recipe.model_dump(mode="json"),
        "classes": list(images.classes),
        **({} if start is None else {"initial_tables": start}),
    }
    run = Run(recipe, seed, folder, images, tests, group, facts, progress)
    if not group.leads:
        return fit(run, new_state(network.to(group.device), recipe))
    remove_orphans(folder)
    with sole_writer(folder):
        return fit(run, new_state(network.to(group.device), recipe))


def _regime(
    layer: JPEGLayer, recipe: Recipe, images: Split, seed: int, *, aloud: bool
) -> dict[str, Any]:
    """Where the layer starts, of the first images."""
    shown = torch.cat([b.images for b in first_batches(recipe, images, seed, 50) if len(b.labels)])
    start = regime(layer, shown)
    if aloud and recipe.jpeg.init == "sensitivity":
        print(f"softjpeg: the layer's start: {start.sentence()}", file=sys.stderr)
    return start.facts()


def _opened(recipe: Recipe, train: bool) -> Split:
    split = open_split(recipe.data.name, recipe.data.root, train)
    return in_memory(split) if recipe.data.in_memory else split


def _reference(experiment: Experiment, recipe: Recipe, seed: int, classes: int) -> JPEGNetwork:
    """The network whose statistics the tables start from."""
    # What the recipe names is run in any case.
    named = [recipe.model.name.rpartition(":")[0]]
    source = recipe.jpeg.init_from
    if source and not source.endswith(SUFFIX):
        trained = load_run(source, trust=named)
        if len(trained.classes) != classes:
            raise ValueError(
                f"jpeg.init_from {source} has {len(trained.classes)} classes, "
                f"the data set {classes}"
            )
        return trained.network
    if recipe.needs_baseline:
        baseline = experiment.run_folder("baseline", seed) / "last.safetensors"
        return load_run(baseline, trust=named).network
    seed_everything(seed, _INITIAL)
    plain = recipe.jpeg.model_copy(update={"quantizer": "none", "zero_dc": False})
    return build_network(recipe.model_copy(update={"jpeg": plain}), classes)
