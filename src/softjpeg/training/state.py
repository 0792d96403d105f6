"""What changes while a run goes on, and how it is saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from softjpeg.nn.wrapping import JPEGNetwork
from softjpeg.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from softjpeg.training.optimizers import make_optimizers
from softjpeg.training.recipe import Recipe
from softjpeg.training.run_facts import check_facts


@dataclass
class State:
    """A run at a step.

    Attributes:
        model: the network that trains.
        ema: its moving average, where the recipe wants one.
        optimizers: of the network, and of the JPEG layer.
        step: optimizer steps done.
        tested: the step at which it was last tested.
        best: the best top-1 so far, and the step it was reached at.
        losses: sum and number of the losses since the log's last line.
        skipped: how many images were left out so far.
    """

    model: JPEGNetwork
    ema: AveragedModel | None
    optimizers: dict[str, Optimizer]
    step: int = 0
    tested: int = 0
    best: tuple[float, int] = (-1.0, 0)
    losses: tuple[float, int] = (0.0, 0)
    skipped: int = 0

    @property
    def tested_model(self) -> JPEGNetwork:
        """The moving average, or the model where there is none."""
        if self.ema is None:
            return self.model
        return cast(JPEGNetwork, self.ema.module)


def new_state(model: JPEGNetwork, recipe: Recipe) -> State:
    """A run before its first step."""
    ema = None
    if recipe.train.ema:
        average = get_ema_multi_avg_fn(recipe.train.ema)  # type: ignore[no-untyped-call]
        # Buffers too: running statistics belong to the weights.
        ema = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    return State(model, ema, make_optimizers(model, recipe))


def is_finite(state: State) -> bool:
    """Whether no weight or running statistic is infinite or NaN."""
    # Other buffers may well be infinite: masks, say.
    running = [b for name, b in state.model.named_buffers() if ".running_" in f".{name}"]
    return all(bool(torch.isfinite(t).all()) for t in (*state.model.parameters(), *running))


def save_last(state: State, path: Path, facts: Mapping[str, Any]) -> None:
    """Write everything that `restore` needs.

    Args:
        state: to go on from.
        path: the file, replaced as one.
        facts: which run it is, in JSON's types.
    """
    tensors: dict[str, Tensor] = dict(state.model.state_dict())
    for name, optimizer in state.optimizers.items():
        tensors |= optimizer_tensors(name, optimizer)
    if state.ema is not None:
        tensors |= {f"ema.{name}": value for name, value in state.ema.state_dict().items()}
    progress = {
        "step": state.step,
        "tested": state.tested,
        "best": state.best,
        "losses": state.losses,
        "skipped": state.skipped,
    }
    save_checkpoint(path, tensors, {**facts, **progress})


def save_best(state: State, path: Path, facts: Mapping[str, Any]) -> None:
    """Write the weights that were tested, and nothing else.

    Args:
        state: whose `tested_model` is written.
        path: the file, replaced as one.
        facts: which run it is, in JSON's types.
    """
    progress = {"step": state.step, "best": state.best}
    save_checkpoint(path, state.tested_model.state_dict(), {**facts, **progress})


def restore(state: State, path: Path) -> dict[str, Any]:
    """Put a run back to where `save_last` wrote it.

    Returns:
        The facts it was saved with.

    Raises:
        ValueError: the file is damaged, or of another network.
    """
    tensors, facts = load_checkpoint(path)
    check_facts(facts, path)
    for key in ("tested", "skipped", "losses"):
        if key not in facts:
            raise ValueError(f"checkpoint {path}: {key}: field required")
    load_weights(state.model, tensors, path)
    try:
        for name, optimizer in state.optimizers.items():
            restore_optimizer(name, optimizer, tensors)
        if state.ema is not None:
            prefix = "ema."
            state.ema.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
    except (ValueError, LookupError, RuntimeError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"checkpoint {path} does not fit its run: {reason}") from error
    state.step, state.tested, state.skipped = facts["step"], facts["tested"], facts["skipped"]
    state.best = (facts["best"][0], facts["best"][1])
    state.losses = (facts["losses"][0], facts["losses"][1])
    return facts


def load_weights(model: JPEGNetwork, tensors: dict[str, Tensor], path: Path) -> None:
    """Load a checkpoint's weights of the network.

    Args:
        model: changed in place.
        tensors: the network's, and those of optimizers and averages, which are left out.
        path: what an error calls the checkpoint.

    Raises:
        ValueError: they do not fit.
    """
    weights = {k: v for k, v in tensors.items() if not k.startswith(("ema.", "optimizer."))}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"checkpoint {path} does not fit the network: {reason}") from error
