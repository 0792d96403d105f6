"""J4D: with networks frozen, learn the JPEG tables at which files are small and they still work.

Minimizes ``E[loss(f(Ĵ(x; Q)), f(x))] + λ·R(Q)`` in rounds of four passes; what one half of the
images suggests, the other half judges:

* *sensitivity*: backpropagate through the codec, quantized hard at the current tables. Bit
  allocation then solves the quadratic problem around them exactly.
* *blend*: measure the real loss of tables between those and the default tables, at equal rate.
* *bands*: move the steps of frequency bands, measure, and correct what allocation got wrong.
* *choice*: keep what gains most on the default tables, beyond chance, or these.

For the mode "rdo", `learn_rdo` adds what the network minds. Last, the hardness of the probabilistic
quantizer is chosen by measurement (`hardness`). Where answers are to be kept, bisection finds the
rate (`drop_search`).

Plain gradient descent was tried and did worse; docs/learning.md has the measurements.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softjpeg.learning.checkpoint import Candidate, Verdict
from softjpeg.learning.hardness import choose_hardness
from softjpeg.learning.losses import Loss
from softjpeg.learning.rate_control import RateControl, default_tables
from softjpeg.learning.rdo_trials import Trial, best_trial, moments, trials
from softjpeg.learning.schedule import Run, run_stages, stages
from softjpeg.learning.subsampling_choice import choose_subsampling
from softjpeg.learning.task import Task
from softjpeg.presets.preset import Preset


def learn(
    models: nn.Module | Sequence[nn.Module],
    images: Tensor,
    *,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    worst_case: bool = False,
    subsampling: str = "4:2:0",
    rate_weight: float | None = None,
    target_bpp: float | None = None,
    target_bytes: float | None = None,
    max_drop: float | None = None,
    mode: str = "hard",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> Preset:
    """Learn a preset for one or several frozen networks.

    Exactly one of `rate_weight`, `target_bpp`, `target_bytes` and `max_drop` must be given.

    Args:
        models: from (B, 3, H, W) RGB in [0, 1] to logits (B, classes), or with `loss` to any tensor
            (B, ...); left in eval mode. Of several, each one's loss counts relative to its loss
            behind the default tables.
        images: (N, 3, H, W) uint8, uncompressed. Keep crops of one photo together: the halves are
            the first and the second.
        labels: (N,) class indices: the loss is then cross-entropy instead of label-free.
        loss: from (outputs, targets) to the mean over a batch; targets are `labels` where given,
            else the network's own outputs on the uncompressed images. Default: KL divergence.
        worst_case: judge several networks by the one that gains least, not by their average.
        subsampling: "4:4:4", "4:2:2", "4:2:0", or "auto" for what measures best.
        rate_weight: λ > 0, in loss per bit per pixel.
        target_bpp: bits per pixel of whole files to reach on `images`, coefficients rounded.
        target_bytes: or bytes of a file, mean over `images`.
        max_drop: or points (percent) of answers that may be lost on the judging half: right ones
            with `labels`, else the network's own.
        mode: of the encoder to learn for, "hard" or "rdo": the latter also learns what the network
            minds (`Preset.distortion`), and tables that count on it.
        rounds: of the four passes; a later one starts from better tables.
        batch_size: images the network reads at once; fewer where there are few images.
        seed: of everything random; the same seed gives the same preset.
        checkpoint: file to keep the state in; an interrupted run resumes from it exactly. With
            "auto" there are several, whose names begin with it.
        progress: show a progress bar on a terminal.
        provenance: facts to keep in the preset, beside what `learn` itself puts there.
        say: takes sentences of what is found on the way, as `print` does.

    Returns:
        A preset with integer tables 1..255; its provenance has the loss and the rate measured. A
        rate or a drop that cannot be reached gives the nearest one found.

    Raises:
        ValueError: an argument out of its range, a network whose output or gradient is not finite,
            or a checkpoint of another run.

    >>> images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    >>> learn(network, images, target_bpp=30.0, batch_size=2).subsampling
    '4:2:0'
    """
    goal = {
        "rate_weight": rate_weight,
        "target_bpp": target_bpp,
        "target_bytes": target_bytes,
        "max_drop": max_drop,
    }
    _check_goal(goal)
    _check_mode(mode)
    if max_drop is not None and mode != "hard":
        raise ValueError(f"max_drop is kept with mode hard only, got mode {mode!r}")
    if max_drop is not None and loss is not None:
        raise ValueError("max_drop counts answers, which a loss of your own need not have")
    plan = stages(rounds, search=max_drop is not None)
    auto = subsampling == "auto"
    first = "4:2:0" if auto else subsampling
    task = Task(models, images, labels, loss, first, batch_size, seed, worst_case)
    if max_drop is not None and any(output.ndim != 2 for output in task.outputs):
        raise ValueError("max_drop counts answers: the network's output must be (N, classes)")
    if target_bytes is not None:
        target_bpp = 8 * target_bytes / (images.shape[-1] * images.shape[-2])
    if target_bpp is not None:
        plan = stages(rounds, (target_bpp,))
    run = Run((*goal.values(), rounds), max_drop or 0.0, checkpoint, progress, say)
    facts: dict[str, Any] = {**goal, "rounds": rounds}
    if auto:
        chosen = choose_subsampling(task, rate_weight, plan, run)
        task, control, run, plan, state, facts["subsamplings"] = chosen
    else:
        control, state = RateControl(task.images, first, rate_weight), None
    state = run_stages(task, control, plan, run, state)
    if max_drop is not None:
        facts |= {"drop": state.drop, "default_bpp_for_drop": state.start}
    if state.target is not None:
        control = control.at(state.target)
    assert state.verdict is not None
    found = [(control, state.current, state.verdict)]
    (trial,) = _trials(task, mode, found, progress)
    return _preset(task, *found[0], trial, facts, provenance)


def learn_ladder(
    models: nn.Module | Sequence[nn.Module],
    images: Tensor,
    targets_bpp: Sequence[float] | None = None,
    *,
    qualities: Sequence[int] | None = None,
    labels: Tensor | None = None,
    loss: Loss | None = None,
    worst_case: bool = False,
    subsampling: str = "4:2:0",
    mode: str = "hard",
    rounds: int = 1,
    batch_size: int = 32,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = False,
    provenance: Mapping[str, Any] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Preset]:
    """Presets at several rates for little more than the price of one.

    `learn` runs at the highest rate. From there on down, each rate starts with what the one before
    found, corrects it by the bands, and keeps the better of that, of a blend and of the default
    tables. `softjpeg.learning.measured_ladder.measured_ladder` makes a `Ladder` of the presets.

    Args:
        models, images, labels, ...: as in `learn`.
        targets_bpp: bits per pixel of whole files; one preset each.
        qualities: or the qualities 1..100 of default JPEG whose rates to learn for.

    Returns:
        Presets in the order of `targets_bpp` or `qualities`.
    """
    if (targets_bpp is None) == (qualities is None):
        raise ValueError("give exactly one of targets_bpp and qualities")
    if not (targets_bpp or qualities):
        raise ValueError("targets_bpp must name at least one rate, got none")
    for target in targets_bpp or ():
        _check_goal({"targets_bpp": target})
    _check_mode(mode)
    plan = stages(rounds)
    first = "4:2:0" if subsampling == "auto" else subsampling
    task = Task(models, images, labels, loss, first, batch_size, seed, worst_case)
    control = RateControl(task.images, first)
    run = Run((targets_bpp, qualities, rounds), 0.0, checkpoint, progress, say)
    facts: dict[str, Any] = {"rounds": rounds}
    if subsampling == "auto":
        rates = _rates(control, targets_bpp, qualities)
        middle = stages(rounds, (sorted(rates)[len(rates) // 2],))
        task, control, run, *_, facts["subsamplings"] = choose_subsampling(task, None, middle, run)
    rates = _rates(control, targets_bpp, qualities)
    falling = sorted(set(rates), reverse=True)
    plan = stages(rounds, falling)
    state = run_stages(task, control, plan, run)
    assert state.verdict is not None
    found = [*state.finished, (state.current, state.verdict)]
    there = [(control.at(rate), *result) for rate, result in zip(falling, found, strict=True)]
    used = _trials(task, mode, there, progress)
    made = {
        rate: _preset(task, *result, trial, {**facts, "target_bpp": rate}, provenance)
        for rate, result, trial in zip(falling, there, used, strict=True)
    }
    return [made[rate] for rate in rates]


def _rates(
    control: RateControl, targets_bpp: Sequence[float] | None, qualities: Sequence[int] | None
) -> list[float]:
    if targets_bpp is not None:
        return list(targets_bpp)
    return [control.bpp(default_tables(quality)) for quality in qualities or ()]


def _check_goal(goal: Mapping[str, float | None]) -> None:
    given = {name: value for name, value in goal.items() if value is not None}
    if len(given) != 1:
        found = ", ".join(f"{name} {value}" for name, value in given.items()) or "none"
        raise ValueError(f"give exactly one of {', '.join(goal)}, got {found}")
    ((name, value),) = given.items()
    if name == "max_drop" and 0 <= value < 100:
        return
    if name == "max_drop":
        raise ValueError(f"max_drop must be from 0 to under 100 points, got {value}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be positive and finite, got {value}")


def _check_mode(mode: str) -> None:
    if mode not in ("hard", "rdo"):
        raise ValueError(f"mode must be hard or rdo, got {mode!r}")


def _trials(
    task: Task,
    mode: str,
    found: Sequence[tuple[RateControl, Candidate, Verdict]],
    progress: bool,
) -> list[Trial | None]:
    """For the mode "rdo", what is used at each rate, with what the network minds."""
    if mode == "hard":
        return [None] * len(found)
    _, learned, verdict = found[len(found) // 2]
    gathered = moments(task, learned.tables, _scales(verdict), progress)
    tried = [trials(task, *x[:2], gathered, _scales(x[2])) for x in found]
    best = best_trial(tried)
    return [at_rate[best] for at_rate in tried]


def _scales(verdict: Verdict) -> list[float]:
    return [default for _, default in verdict.networks]


def _preset(
    task: Task,
    control: RateControl,
    learned: Candidate,
    verdict: Verdict,
    trial: Trial | None,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Any] | None,
) -> Preset:
    tables = learned.tables if trial is None else trial.tables
    if trial is not None:
        rdo = {"loss": trial.loss, "bpp": trial.bpp, "cost": trial.cost}
        facts = {**facts, "rdo": {**rdo, "rate_weight": trial.distortion.rate_weight}}
    figures = {
        **{name: value for name, value in facts.items() if value is not None},
        "loss_kind": task.kind,
        "bpp": control.bpp(tables),
        "judged": asdict(verdict),
        "kept_default": learned.is_default and tables is learned.tables,
        "rate_weight": learned.rate_weight,
        "target_bpp": control.target_bpp,
        "networks": len(task.models),
        "judged_by": "worst case" if task.worst_case else "average",
        "images": len(task.images),
        "size": list(control.size),
        "seed": task.seed,
        "torch": torch.__version__,
    }
    hardness = choose_hardness(task, control, tables, learned.rate_weight, _scales(verdict))
    return Preset(
        tables[0].numpy(),
        tables[1].numpy(),
        np.full((2, 8, 8), hardness),
        subsampling=task.subsampling,
        provenance={**(provenance or {}), "learned": figures},
        distortion=None if trial is None else trial.distortion,
    )
