"""Which passes a run makes over the images, at which rates, and how it goes through them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate

from softjpeg.common.progress import track
from softjpeg.learning.checkpoint import State, fingerprint, load_state, save_state
from softjpeg.learning.drop_search import QUALITY_STEPS, RATE_STEPS
from softjpeg.learning.passes import at_rate, begin, finish, start, step
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.task import Task

ROUND = ("sensitivity", "blend", "bands", "choice")

Stage = tuple[str, float | None]
"""A pass, and the bits per pixel from which on it is made for another rate."""


@dataclass(frozen=True)
class Run:
    """How a run is kept and shown.

    Attributes:
        goal: whatever else its result depends on, for the fingerprint.
        max_drop: points of answers that may be lost.
        checkpoint: file of its state.
        progress: show a progress bar on a terminal.
        say: takes a sentence of what was found.
    """

    goal: tuple[object, ...] = ()
    max_drop: float = 0.0
    checkpoint: str | os.PathLike[str] | None = None
    progress: bool = False
    say: Callable[[str], None] | None = None


def stages(rounds: int, targets: Sequence[float] = (), search: bool = False) -> list[Stage]:
    """The passes of a whole run.

    Args:
        rounds: of the four passes, at the first target.
        targets: bits per pixel, one after the other; none where λ is given or searched for.
        search: look for a rate before and after.

    >>> [name for name, _ in stages(1, (1.0, 0.5))]
    ['sensitivity', 'blend', 'bands', 'choice', 'bands', 'choice']
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    first = targets[0] if targets else None
    plan: list[Stage] = [(name, first) for _ in range(rounds) for name in ROUND]
    if search:
        before: list[Stage] = [("quality", None)] * QUALITY_STEPS
        after: list[Stage] = [("rate", None)] * RATE_STEPS
        return [*before, *plan, *after]
    return plan + [(name, target) for target in targets[1:] for name in ("bands", "choice")]


def run_stages(
    task: Task, control: RateControl, plan: Sequence[Stage], run: Run, state: State | None = None
) -> State:
    """Go through a plan's passes, from where the checkpoint or `state` left it."""
    weights = [w for m in task.models for _, w in sorted(m.state_dict().items())]
    loss = getattr(task.custom, "__qualname__", repr(type(task.custom)))
    settings = (task.kind, loss, task.subsampling, task.seed, task.batch_size, task.worst_case)
    # Not the networks' outputs: another number of threads may change their last bit.
    inputs = (task.images, task.labels, *weights, *settings, *run.goal)
    name_of_run = fingerprint(version("softjpeg"), *inputs)
    state = load_state(run.checkpoint, name_of_run) or state or start()
    ends = list(accumulate(len(task.parts(name)) for name, _ in plan))
    units = [(name, target, part) for name, target in plan for part in task.parts(name)]
    controls: dict[float | None, RateControl] = {None: control}
    for name, target, part in track(units[state.done :], "learning", enabled=run.progress):
        if state.done in (0, *ends):
            if target is not None and target != state.target:
                state = at_rate(state, target)
            state = begin(state, name, task, _control(controls, state), run.max_drop)
        here = _control(controls, state)
        state = step(state, name, part, task, here)
        if state.done in ends:
            state = finish(state, name, task, here, run.max_drop)
            if run.say is not None and (sentence := found(state, name, task)):
                run.say(sentence)
        save_state(run.checkpoint, name_of_run, state)
    return state


def found(state: State, name: str, task: Task) -> str | None:
    """What a finished pass tells about the network, as a sentence; None where that is nothing."""
    verdict = state.verdict
    if name == "quality" and state.start is not None:
        return f"default tables lose {state.drop:.2f} points at {state.start:.3f} bpp"
    if name != "blend" or verdict is None:
        return None
    before = (
        f"on this network, {task.subsampling} default tables cost {task.kind} "
        f"{verdict.default_loss:.4f} at {verdict.default_bpp:.3f} bpp"
    )
    if state.current.is_default:
        return f"{before}, and its sensitivity alone tells nothing better"
    cost = verdict.loss + state.current.rate_weight * (verdict.bpp - verdict.default_bpp)
    saved = (verdict.default_loss - cost) / (state.current.rate_weight * verdict.default_bpp)
    return (
        f"{before}, tables from its sensitivity alone {verdict.loss:.4f} at {verdict.bpp:.3f}: "
        f"worth about {saved:.0%} of the bytes"
    )


def _control(controls: dict[float | None, RateControl], state: State) -> RateControl:
    if state.target not in controls:
        assert state.target is not None
        controls[state.target] = controls[None].at(state.target)
    return controls[state.target]
