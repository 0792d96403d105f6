"""Chroma subsampling, chosen by what networks make of it at the rate that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from softjpeg.jpeg.subsampling import SUBSAMPLINGS
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.choice_passes import BlendPass, DefaultsPass
from softjpeg.learning.passes.drop_search import QualitySearch
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.run_options import RunOptions
from softjpeg.learning.runner import run_passes
from softjpeg.learning.state import State


class SubsamplingChoice(NamedTuple):
    """The subsampling that measured best, and what a run goes on with.

    Attributes:
        objective, control: of it.
        options: with a checkpoint of its own.
        passes: of the whole run, those already made before the others.
        state: after those.
        measured: loss at the target rate, or bits per pixel where answers are to be kept, by name.
    """

    objective: Objective
    control: RateControl
    options: RunOptions
    passes: list[Pass]
    state: State
    measured: dict[str, float]


def choose_subsampling(
    objective: Objective,
    passes: Sequence[Pass],
    options: RunOptions,
    rate_weight: float | None = None,
) -> SubsamplingChoice:
    """The subsampling of least loss, or of least rate where answers are to be kept.

    Default tables are measured in all of them; in the better two tables are learned too, as far as
    the first blend.

    Args:
        objective: of any subsampling.
        passes: of the whole run.
        options: its checkpoint's name is the beginning of each subsampling's own.
        rate_weight: λ, where that is the goal.
    """
    if options.descent is not None and options.descent.start == "default":
        raise ValueError("subsampling 'auto' is chosen by what the method 'measured' finds first")
    trials = _Trials(objective, options, rate_weight)
    if isinstance(passes[0], QualitySearch):
        trials.run(SUBSAMPLINGS, passes[:1], "default")
        measured = {name: state.default_bpp or 0.0 for name, state in trials.states.items()}
        return trials.choose(measured, passes, "bpp")
    target_bpp = passes[0].target_bpp
    passes = [DefaultsPass(target_bpp=target_bpp), *passes]
    trials.run(SUBSAMPLINGS, passes[:1], "default")
    measured = {name: _cost(state, rate_weight or 0.0) for name, state in trials.states.items()}
    better = sorted(measured, key=measured.__getitem__)[:2]
    first_blend = [type(one) for one in passes].index(BlendPass)
    trials.run(better, passes[: first_blend + 1], "learned")
    for name in better:
        state = trials.states[name]
        measured[name] = _cost(state, state.current.rate_weight, target_bpp or 0.0)
    return trials.choose(measured, passes, objective.networks.loss_kind)


class _Trials:
    """Runs in several subsamplings beside each other."""

    def __init__(
        self, objective: Objective, options: RunOptions, rate_weight: float | None
    ) -> None:
        self.options = options
        self.objectives: dict[str, Objective] = {
            name: replace(objective, subsampling=name) for name in SUBSAMPLINGS
        }
        self.controls: dict[str, RateControl] = {
            name: RateControl(one.rates, rate_weight) for name, one in self.objectives.items()
        }
        self.states: dict[str, State] = {}

    def run(self, names: Iterable[str], passes: Sequence[Pass], step: str) -> None:
        """Go on as far as `passes`, each step in files of its own.

        What was chosen by must not change as a run goes on.
        """
        for name in names:
            options = self._options(f"{step}.{name}")
            objective, control = self.objectives[name], self.controls[name]
            state = self.states.get(name)
            self.states[name] = run_passes(passes, objective, control, options, state)

    def choose(
        self, measured: dict[str, float], passes: Sequence[Pass], unit: str
    ) -> SubsamplingChoice:
        """The least one."""
        best = min(measured, key=measured.__getitem__)
        if self.options.log is not None:
            listed = ", ".join(f"{name} {unit} {value:.4f}" for name, value in measured.items())
            self.options.log(f"subsampling {best} of {listed}")
        return SubsamplingChoice(
            self.objectives[best],
            self.controls[best],
            self._options(best),
            list(passes),
            self.states[best],
            measured,
        )

    def _options(self, name: str) -> RunOptions:
        return self.options.with_checkpoint(name.replace(":", ""))


def _cost(state: State, rate_weight: float, target_bpp: float = 0.0) -> float:
    assert state.gain is not None
    return state.gain.loss + rate_weight * (state.gain.bpp - target_bpp)
