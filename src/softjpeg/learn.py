"""J4D: with the network frozen, learn the JPEG tables at which files are small and it still works.

Minimizes ``E[loss(f(Ĵ(x; Q)), f(x))] + λ·R(Q)`` in rounds of four passes; what one half of the
images suggests, the other half judges:

* *sensitivity*: backpropagate through the codec, quantized hard at the current tables. Bit
  allocation then solves the quadratic problem around them exactly.
* *blend*: measure the real loss of tables between those and the default tables, at equal rate.
* *bands*: move each frequency band's steps, measure, and correct what allocation got wrong.
* *choice*: keep what gains most on the default tables, beyond chance, or these.

Last, the hardness of the probabilistic quantizer is chosen by measurement (`hardness`).

Plain gradient descent was tried and did worse; docs/learning.md has the measurements.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.checkpoint import State, fingerprint, load_state, save_state
from softjpeg.hardness import choose_hardness
from softjpeg.passes import PASSES, Task, blended, choose, finish, start, step, to_measure
from softjpeg.preset import Preset
from softjpeg.progress import track
from softjpeg.proxy import Loss, codec_loss
from softjpeg.rate_control import RateControl

_VERDICT = ("loss", "bpp", "default_loss", "default_bpp")


def learn(
    model: nn.Module,
    images: Tensor,
    *,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    subsampling: str = "4:2:0",
    rate_weight: float | None = None,
    target_bpp: float | None = None,
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Preset:
    """Learn a preset for a frozen network.

    Args:
        model: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes), or with `loss` to any tensor
            (B, ...); it is left in eval mode.
        images: (N, 3, H, W) uint8, uncompressed. Keep crops of one photo together: the halves are
            the first and the second.
        labels: (N,) class indices: the loss is then cross-entropy instead of label-free.
        loss: from (outputs, targets) to the mean over a batch; targets are `labels` where given,
            else the network's own outputs on the uncompressed images. Default: KL divergence.
        subsampling: "4:4:4", "4:2:2" or "4:2:0".
        rate_weight: λ, in loss per bit per pixel; exactly one of it and `target_bpp`.
        target_bpp: bits per pixel of whole files to reach on `images`.
        rounds: of the four passes; a later one starts from better tables.
        batch_size: images the network reads at once; fewer where there are few images.
        seed: of everything random; the same seed gives the same preset.
        checkpoint: file to keep the state in; an interrupted run resumes from it exactly.
        progress: show a progress bar on a terminal.
        provenance: facts to keep in the preset, beside what `learn` itself puts there.

    Returns:
        A preset with integer tables 1..255; its provenance has the loss and the rate measured.

    Raises:
        ValueError: an argument out of its range, or a checkpoint of another run.

    >>> images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> learn(network, images, target_bpp=30.0, batch_size=2).subsampling
    '4:2:0'
    """
    task = Task(model, images, labels, loss, subsampling, rounds, batch_size, seed)
    control = RateControl(images, subsampling, rate_weight, target_bpp)
    state = _run(task, control, checkpoint, progress)
    return _preset(task, control, state, provenance)


def learn_ladder(
    model: nn.Module,
    images: Tensor,
    targets_bpp: Sequence[float],
    *,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    subsampling: str = "4:2:0",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> list[Preset]:
    """Presets at several rates for little more than the price of one.

    `learn` runs at the middle rate; what it finds about the network serves the other rates, where
    only the choice between that, the default tables and half-way between them is measured.

    Args:
        model, images, labels, ...: as in `learn`.
        targets_bpp: bits per pixel of whole files; one preset each.

    Returns:
        Presets in the order of `targets_bpp`.
    """
    if not targets_bpp:
        raise ValueError("targets_bpp must name at least one rate, got none")
    middle = sorted(targets_bpp)[len(targets_bpp) // 2]
    task = Task(model, images, labels, loss, subsampling, rounds, batch_size, seed)
    control = RateControl(images, subsampling, None, middle)
    rates = [control.at(target) for target in targets_bpp]
    learned = _run(task, control, checkpoint, progress)
    presets = []
    for target, there in zip(targets_bpp, rates, strict=True):
        state = learned
        if target != middle:
            state = to_measure(state, blended(state.current.belief, (0.0, 0.5), there))
            for part in track(task.judged, f"{target} bpp", enabled=progress):
                state = step(state, "choice", part, task)
            state = choose(state, there)
        presets.append(_preset(task, there, state, provenance))
    return presets


def _run(
    task: Task,
    control: RateControl,
    checkpoint: str | os.PathLike[str] | None,
    progress: bool,
) -> State:
    settings = (task.subsampling, control.rate_weight, control.target_bpp, task.seed)
    loss = getattr(task.custom, "__qualname__", repr(type(task.custom)))
    weights = [value for _, value in sorted(task.model.state_dict().items())]
    # Not the network's outputs: another number of threads may change their last bit.
    inputs = (task.images, task.labels, *weights, task.kind, loss, *settings)
    run = fingerprint(version("softjpeg"), *inputs, task.batch_size, task.rounds)
    state = load_state(checkpoint, run) or start(control)
    units = [
        (name, part) for _ in range(task.rounds) for name in PASSES for part in task.parts(name)
    ]
    for name, part in track(units[state.done :], "learning", enabled=progress):
        state = step(state, name, part, task)
        if part == task.parts(name)[-1]:
            state = finish(state, name, task, control)
        save_state(checkpoint, run, state)
    return state


def _preset(
    task: Task,
    control: RateControl,
    state: State,
    provenance: Mapping[str, Any] | None,
) -> Preset:
    tables = state.current.tables
    total = 0.0
    for part in task.batches:
        batch, targets = task.images[part], task.targets[part]
        loss = codec_loss(task.model, batch, targets, tables, task.subsampling, task.loss)
        total += len(batch) * loss
    figures = {
        "loss": total / len(task.images),
        "loss_kind": task.kind,
        "bpp": control.bpp(tables),
        "judged": dict(zip(_VERDICT, state.verdict, strict=True)),
        "rate_weight": state.current.rate_weight,
        "target_bpp": control.target_bpp,
        "images": len(task.images),
        "size": list(control.size),
        "rounds": task.rounds,
        "seed": task.seed,
        "torch": torch.__version__,
    }
    hardness = choose_hardness(task, control, tables, state.current.rate_weight)
    return Preset(
        tables[0].numpy(),
        tables[1].numpy(),
        np.full((2, 8, 8), hardness),
        subsampling=task.subsampling,
        provenance={**(provenance or {}), "learned": figures},
    )
