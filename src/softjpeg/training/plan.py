"""What a training run consists of, before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from softjpeg.training.data.loader import batch_count
from softjpeg.training.data.split import Split
from softjpeg.training.distributed import Group
from softjpeg.training.recipe import Recipe


@dataclass(frozen=True)
class Run:
    """What a run consists of.

    Attributes:
        recipe, seed: what decides it.
        folder: where `last.safetensors`, `best.safetensors` and `log.jsonl` go.
        train, test: the images.
        group: the processes it runs in.
        facts: what its checkpoints say of it, in JSON's types.
        progress: show progress bars.
    """

    recipe: Recipe
    seed: int
    folder: Path
    train: Split
    test: Split
    group: Group
    facts: Mapping[str, Any] = field(default_factory=dict)
    progress: bool = False

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "last.safetensors"

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps."""
        settings = self.recipe.train
        count = batch_count(self.train, settings.batch_size, self.group.world, True)
        if count < settings.accumulate:
            raise ValueError(
                f"train.accumulate must be at most the {count} batches of an epoch, "
                f"got {settings.accumulate}"
            )
        return count // settings.accumulate

    @cached_property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        settings = self.recipe.train
        steps = settings.epochs * self.steps_per_epoch
        return min(steps, settings.max_steps) if settings.max_steps else steps
