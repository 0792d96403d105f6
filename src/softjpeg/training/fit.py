"""The training loop: epochs of steps, tests, checkpoints, and going on from the last one."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from softjpeg.common.interrupt import StoppedBySignalError, stop_signals
from softjpeg.common.progress import track
from softjpeg.training.accuracy import accuracy
from softjpeg.training.data.loader import Batch, batches
from softjpeg.training.data.transforms import train_transform
from softjpeg.training.log import Log
from softjpeg.training.optimizers import set_learning_rates
from softjpeg.training.plan import Run
from softjpeg.training.recipe import Recipe
from softjpeg.training.schedule import learning_rate_factor
from softjpeg.training.seeding import seed_everything
from softjpeg.training.state import State, is_finite, restore, save_best, save_last
from softjpeg.training.step import train_step


def fit(run: Run, state: State) -> dict[str, Any]:
    """Train, from the last checkpoint where there is one, to the end.

    Args:
        run: what to do.
        state: a new state; changed in place.

    Returns:
        The final test: step, top1, top5, loss, best_top1, ...

    Raises:
        ValueError: an unreadable image, or a loss or weight that is not finite: the last good
            checkpoint stays.
        StoppedBySignalError: a signal; the run was saved.
        OSError: the disk is full, ...; the last good checkpoint stays.
    """
    result: dict[str, Any] = restore(state, run.last)["result"] if run.last.is_file() else {}
    if state.tested == state.step >= run.steps:
        return result
    log = None
    if run.group.leads:
        tensorboard = run.folder / "tensorboard" if run.recipe.train.tensorboard else None
        log = Log(run.folder / "log.jsonl", state.step, state.tested, tensorboard)
        log.write("start", state.step, **run.facts)
    if run.recipe.model.compile:
        # In place: parameter names stay as they are.
        state.model.compile()
    parallel = run.group.parallel(state.model)
    with stop_signals() as received:
        while True:
            at_boundary = state.step % run.steps_per_epoch == 0 or state.step == run.steps
            if at_boundary and state.step > state.tested:
                result = _end_epoch(run, state, log)
                if run.group.any(bool(received())):
                    _stop(run, state, received())
            if state.step >= run.steps:
                break
            _epoch(run, state, parallel, log, received)
    return result


def _epoch(
    run: Run, state: State, parallel: nn.Module, log: Log | None, received: Callable[[], int]
) -> None:
    """The rest of the epoch that the state is in."""
    settings, size = run.recipe.train, run.recipe.train.batch_size
    epoch, within = divmod(state.step, run.steps_per_epoch)
    drawn = batches(
        run.train,
        _transform(run.recipe),
        batch_size=size,
        epoch=epoch,
        seed=run.seed,
        start=within * settings.accumulate,
        rank=run.group.rank,
        world=run.group.world,
        workers=run.recipe.data.workers,
        skip_bad=run.recipe.data.skip_bad,
    )
    end = min((epoch + 1) * run.steps_per_epoch, run.steps)
    recent: list[Tensor] = []
    started, first = time.monotonic(), state.step
    steps = range(state.step, end)
    title = f"epoch {epoch + 1} of {settings.epochs}"
    for step in track(steps, title, enabled=run.progress and run.group.leads):
        parts = list(islice(drawn, settings.accumulate))
        _report_skipped(run, parts, state, log)
        factor = learning_rate_factor(
            run.recipe.schedule, step / run.steps_per_epoch, settings.epochs
        )
        set_learning_rates(state.optimizers, run.recipe, factor)
        seed_everything(run.seed, step, run.group.rank)
        classes = len(run.train.classes)
        recent.append(train_step(state, parallel, parts, run.recipe, classes, run.group))
        state.step = step + 1
        stop = run.group.any(bool(received()))
        should_log = state.step % settings.log_every == 0 or state.step == end
        should_save = (
            bool(settings.checkpoint_every) and state.step % settings.checkpoint_every == 0
        )
        if stop or should_log or should_save:
            _count_losses(run, state, recent)
        if should_log and log is not None:
            speed = (step + 1 - first) / max(time.monotonic() - started, 1e-9)
            _log_step(run, state, log, speed)
        if should_log:
            state.losses = (0.0, 0)
        if stop or should_save:
            _save(run, state)
        if stop:
            _stop(run, state, received())


def _stop(run: Run, state: State, number: int) -> NoReturn:
    """Leave a run that is saved; a process that got no signal itself follows the others."""
    raise StoppedBySignalError(
        f"interrupted at step {state.step}; {run.last} is saved, and the same command "
        "goes on from it",
        128 + (number or signal.SIGTERM),
    )


def _transform(recipe: Recipe) -> Any:
    data = recipe.data
    return train_transform(
        data.size,
        crop=data.crop,
        resize=data.resize or None,
        interpolation=data.interpolation,
        flip=data.flip,
        randaugment=data.randaugment,
        jpeg_quality=data.jpeg_quality,
    )


def _report_skipped(run: Run, parts: list[Batch], state: State, log: Log | None) -> None:
    if not run.recipe.data.skip_bad:
        return
    names = run.group.gather([name for part in parts for name in part.skipped])
    state.skipped += len(names)
    if names and log is not None:
        log.write("skipped", state.step + 1, images=names)


def _count_losses(run: Run, state: State, recent: list[Tensor]) -> None:
    """Add the losses since the last call to the state's, and refuse what is not finite."""
    if not recent:
        return
    losses = run.group.mean(torch.stack(recent).double()).tolist()
    first = state.step - len(losses) + 1
    recent.clear()
    for step, loss in enumerate(losses, first):
        if not math.isfinite(loss):
            _diverged(run, f"loss is {loss} at step {step}")
        # One after the other: however often a run was stopped, the sum is the same.
        state.losses = (state.losses[0] + loss, state.losses[1] + 1)


def _diverged(run: Run, what: str) -> None:
    good = f"the last good checkpoint is {run.last}" if run.last.is_file() else "nothing was saved"
    raise ValueError(f"{what}: training stops; {good}; try a lower learning rate")


def _log_step(run: Run, state: State, log: Log, steps_per_second: float) -> None:
    settings = run.recipe.train
    images = settings.batch_size * settings.accumulate * run.group.world
    rates = {f"lr_{name}": o.param_groups[0]["lr"] for name, o in state.optimizers.items()}
    log.write(
        "step",
        state.step,
        loss=state.losses[0] / max(state.losses[1], 1),
        images_per_second=round(steps_per_second * images, 1),
        **rates,
    )


def _end_epoch(run: Run, state: State, log: Log | None) -> dict[str, Any]:
    """Test where it is due, and save."""
    epochs = -(-state.step // run.steps_per_epoch)
    due = epochs % run.recipe.train.evaluate_every == 0 or state.step == run.steps
    result: dict[str, Any] = {}
    improved = False
    if due:
        bar = run.progress and run.group.leads
        test = accuracy(state.tested_model, run.test, run.recipe, run.group, progress=bar)
        improved = test.top1 > state.best[0]
        if improved:
            state.best = (test.top1, state.step)
        result = {
            "step": state.step,
            "epoch": epochs,
            "top1": test.top1,
            "top5": test.top5,
            "loss": test.loss,
            "images": test.images,
            "best_top1": state.best[0],
            "best_step": state.best[1],
            "skipped": state.skipped,
            "skipped_tests": list(test.skipped),
        }
    state.tested = state.step
    # Before the checkpoint: a run killed in between tests again, and its log forgets this line.
    if due and log is not None:
        log.write("test", **result)
    _save(run, state, result, improved)
    return result


def _save(
    run: Run, state: State, result: dict[str, Any] | None = None, improved: bool = False
) -> None:
    if run.group.any(not is_finite(state)):
        _diverged(run, f"a weight is not finite after step {state.step}")
    if run.group.leads:
        facts = {**run.facts, "result": result or {}}
        if improved:
            save_best(state, run.folder / "best.safetensors", facts)
        save_last(state, run.last, facts)
    run.group.wait()
