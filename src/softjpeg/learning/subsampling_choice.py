"""Chroma subsampling, chosen by what a network makes of it at the rate that is wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from softjpeg.jpeg.subsampling import SUBSAMPLINGS, Subsampling
from softjpeg.learning.checkpoint import State, Verdict
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.schedule import Run, Stage, run_stages
from softjpeg.learning.task import Task

Chosen = tuple[Task, RateControl, Run, list[Stage], State, dict[Subsampling, float]]


def choose_subsampling(
    task: Task, rate_weight: float | None, plan: Sequence[Stage], run: Run
) -> Chosen:
    """The subsampling of least loss, or of least rate where answers are to be kept.

    Default tables are measured in all of them; in the better two tables are learned too, as far as
    the first blend.

    Args:
        task: of any subsampling.
        rate_weight: λ, where that is the goal.
        plan: of the whole run.
        run: its checkpoint's name is the beginning of each subsampling's own.

    Returns:
        Task, rate control, run, plan and state to go on with, and what was found: loss (or bits per
        pixel) by subsampling.
    """
    choosing = replace(run, goal=(*run.goal, "choice of subsampling"))
    tasks = {name: task.with_subsampling(name) for name in SUBSAMPLINGS}
    controls = {name: RateControl(task.images, name, rate_weight) for name in SUBSAMPLINGS}
    states: dict[Subsampling, State] = {}

    def go_on(names: Sequence[Subsampling], stages: Sequence[Stage], step: str) -> None:
        for name in names:
            # Files of its own for each step: what was chosen by must not change as a run goes on.
            own = replace(choosing, checkpoint=_beside(run.checkpoint, f"{step}.{name}"))
            states[name] = run_stages(tasks[name], controls[name], stages, own, states.get(name))

    searching = plan[0][0] == "quality"
    plan = list(plan) if searching else [("defaults", plan[0][1]), *plan]
    before = [stage for stage in plan if stage[0] in ("quality", "defaults")]
    go_on(list(SUBSAMPLINGS), before, "default")
    if searching:
        found = {name: state.start or 0.0 for name, state in states.items()}
        unit = "bpp"
    else:
        found = {name: _cost(states[name].verdict, rate_weight or 0.0) for name in SUBSAMPLINGS}
        better = sorted(found, key=lambda name: found[name])[:2]
        go_on(better, plan[: len(before) + 2], "learned")
        for name in better:
            weight = states[name].current.rate_weight
            found[name] = _cost(states[name].verdict, weight, plan[0][1] or 0.0)
        unit = task.kind
    best = min(found, key=lambda name: found[name])
    if run.say is not None:
        listed = ", ".join(f"{name} {unit} {value:.4f}" for name, value in found.items())
        run.say(f"subsampling {best} of {listed}")
    chosen = replace(run, checkpoint=_beside(run.checkpoint, best))
    return tasks[best], controls[best], chosen, plan, states[best], found


def _cost(verdict: Verdict | None, weight: float, target: float = 0.0) -> float:
    assert verdict is not None
    return verdict.loss + weight * (verdict.bpp - target)


def _beside(
    checkpoint: str | os.PathLike[str] | None, subsampling: str
) -> str | os.PathLike[str] | None:
    if checkpoint is None:
        return None
    return f"{os.fspath(checkpoint)}.{subsampling.replace(':', '')}"
