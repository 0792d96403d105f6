"""Going on with a run: only as the run that it is, for another one would be neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softjpeg.training.checkpoint import load_facts
from softjpeg.training.recipe import Recipe
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.run_facts import check_facts

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


def facts_of_last(folder: Path, recipe: Recipe, world: int) -> dict[str, Any] | None:
    """What the checkpoint to go on from says of its run; None where there is none.

    Args:
        folder: of the run.
        recipe: to go on with.
        world: how many processes go on.

    Raises:
        ValueError: a damaged checkpoint, or one of another recipe or number of processes.
    """
    last = folder / "last.safetensors"
    if not last.is_file():
        return None
    facts = load_facts(last)
    check_facts(facts, last)
    before, now = (
        _deciding(r.model_dump(mode="json"))
        for r in (parse_recipe(facts["recipe"], str(last)), recipe)
    )
    for key in (*now, *before):
        if before.get(key) != now.get(key):
            raise ValueError(
                f"{folder} holds a run with {key} = {json.dumps(before.get(key))}, not "
                f"{json.dumps(now.get(key))}: give another --out"
            )
    if facts["world"] != world:
        raise ValueError(
            f"{folder} holds a run of {facts['world']} processes, not {world}: give another --out"
        )
    return facts


def _deciding(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide a run, by dotted keys."""
    sections = ["data", "model", "jpeg", "optimizer", "jpeg_optimizer", "schedule", "train"]
    jpeg = recipe["jpeg"]
    if jpeg["quantizer"] == "none" and not jpeg["zero_dc"]:
        # One baseline serves variants whose layers differ.
        sections = [s for s in sections if not s.startswith("jpeg")]
    keys = {f"{s}.{k}": value for s in sections for k, value in recipe[s].items()}
    return {key: value for key, value in keys.items() if key not in _FREE}
