"""Training a copy of the network to answer on files as the frozen one does on the originals."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from softjpeg.adaptation.features import Features, feature_distance
from softjpeg.adaptation.front import FRONT, Front, insert_front
from softjpeg.adaptation.task import Task
from softjpeg.adaptation.trained_weights import Train, batch_norms, trained_names
from softjpeg.common.brief import brief
from softjpeg.common.image_sequence import same_size_groups
from softjpeg.common.progress import track
from softjpeg.learning.checkpoint import fingerprint
from softjpeg.models.inference import device_of
from softjpeg.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)

_DECAY = 0.9
"""Of the moving average of weights, a step."""
_SAVED_EVERY = 10
"""Steps from one checkpoint to the next."""

Weights = dict[str, Tensor]


def trained_weights(
    task: Task,
    train: Train,
    *,
    epochs: int,
    learning_rate: float,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> tuple[Weights, Weights]:
    """The changed weights by name, before and after.

    AdamW, the learning rate falling to 0 along a cosine; the weights are averaged over the last
    steps. Normalization statistics stay, except where they alone are trained: there one pass over
    the files estimates them again.

    Args:
        task: what to learn.
        train: which weights.
        epochs: passes over the training images.
        learning_rate: at the first step.
        checkpoint: file to resume from and to save in.
        progress: show a progress bar on a terminal.

    Raises:
        ValueError: a number out of its range, nothing to train, a loss that is not finite, or a
            checkpoint that is none or another run's.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}")
    student = copy.deepcopy(task.network).eval().requires_grad_(False)
    if train == "front":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(task.seed)
            front = Front().to(device_of(student))
        insert_front(student, front.requires_grad_(False))
        front.gain.fill_(1)
    names = trained_names(student, train)
    before = {name: student.state_dict()[name].detach().clone() for name in names}
    if train == "statistics":
        _estimate_statistics(task, student, progress)
        return before, {name: student.state_dict()[name].clone() for name in names}
    run = "" if checkpoint is None else fingerprint(task.digest, train, epochs, learning_rate)
    after = _fit(task, student, names, epochs, learning_rate, checkpoint, run, progress)
    if train == "front":
        # What is interpolated is the front's gain alone.
        gain = f"{FRONT}.gain"
        return {**after, gain: torch.zeros(1)}, {**after, gain: torch.ones(1)}
    return before, after


def batches(task: Task, epochs: int) -> Iterator[list[int]]:
    """The places of the images of each step, each epoch in an order of its own."""
    for epoch in range(epochs):
        order = np.random.default_rng((task.seed, epoch)).permutation(task.training).tolist()
        for start in range(0, len(order), task.batch_size):
            yield order[start : start + task.batch_size]


def _fit(
    task: Task,
    student: nn.Module,
    names: Sequence[str],
    epochs: int,
    learning_rate: float,
    checkpoint: str | os.PathLike[str] | None,
    run: str,
    progress: bool,
) -> Weights:
    named = dict(student.named_parameters())
    weights = nn.ParameterList([named[name].requires_grad_() for name in names])
    averaged = AveragedModel(weights, multi_avg_fn=get_ema_multi_avg_fn(_DECAY))  # type: ignore[no-untyped-call]
    optimizer = torch.optim.AdamW(weights, lr=learning_rate)
    steps = list(batches(task, epochs))
    done = 0
    if checkpoint is not None:
        done = _restore(Path(checkpoint), run, weights, averaged, optimizer)
    with Features(task.network) as wanted, Features(student) as found:
        for step in track(range(done, len(steps)), "adapting", enabled=progress):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (1 + math.cos(math.pi * step / len(steps))) / 2
            optimizer.zero_grad()
            loss = _step_loss(task, student, step, steps[step], wanted, found)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            averaged.update_parameters(weights)
            at_end = step + 1 == len(steps)
            if checkpoint is not None and (at_end or (step + 1) % _SAVED_EVERY == 0):
                _save(Path(checkpoint), run, step + 1, weights, averaged, optimizer)
    last = [weight.detach().clone() for weight in averaged.module.parameters()]
    return dict(zip(names, last, strict=True))


def _step_loss(
    task: Task,
    student: nn.Module,
    step: int,
    places: Sequence[int],
    wanted: Features,
    found: Features,
) -> Tensor:
    views, device = task.views(step, places), device_of(student)
    total = torch.zeros((), device=device)
    for group, shown in same_size_groups([shown for _, shown in views]):
        originals = torch.stack([views[i][0] for i in group]).to(device)
        with torch.no_grad():
            answers = task.network(originals)
        targets = task.targets(answers, [places[i] for i in group])
        loss = task.batch_loss(student(shown.to(device)), targets)
        if not loss.requires_grad:
            raise ValueError("the loss has no gradient in the network's weights")
        weight = task.feature_weight if task.scores_classes else 0
        if weight and wanted.read is not None and found.read is not None:
            loss = loss + weight * feature_distance(found.read, wanted.read)
        total = total + loss * len(group) / len(places)
    return total


@torch.no_grad()
def _estimate_statistics(task: Task, student: nn.Module, progress: bool) -> None:
    """Means and variances of one pass over the files, every batch counting alike."""
    for module in batch_norms(student):
        module.reset_running_stats()
        module.momentum = None
        module.train()
    for step, places in enumerate(track(list(batches(task, 1)), "adapting", enabled=progress)):
        for _, shown in same_size_groups([shown for _, shown in task.views(step, places)]):
            student(shown.to(device_of(student)))


def _save(
    path: Path,
    run: str,
    done: int,
    weights: nn.ParameterList,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> None:
    tensors: dict[str, Any] = {f"weights.{n}": w for n, w in weights.state_dict().items()}
    tensors |= {f"averaged.{n}": w for n, w in averaged.state_dict().items()}
    tensors |= optimizer_tensors("adamw", optimizer)
    save_checkpoint(path, tensors, {"adapting": run, "done": done})


def _restore(
    path: Path,
    run: str,
    weights: nn.ParameterList,
    averaged: AveragedModel,
    optimizer: torch.optim.Optimizer,
) -> int:
    """Steps done; 0 where there is no checkpoint yet."""
    if not path.exists():
        return 0
    tensors, facts = load_checkpoint(path)
    if facts.get("adapting") != run:
        raise ValueError(
            f"{path} is the checkpoint of another run: other images, network or settings"
        )
    for kind, module in (("weights.", weights), ("averaged.", averaged)):
        own = {n.removeprefix(kind): w for n, w in tensors.items() if n.startswith(kind)}
        module.load_state_dict(own)
    restore_optimizer("adamw", optimizer, tensors)
    done = facts.get("done")
    if not isinstance(done, int) or done < 0:
        raise ValueError(f"{path}: done must be a number of steps, got {brief(done)}")
    return done
