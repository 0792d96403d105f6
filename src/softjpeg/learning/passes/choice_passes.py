"""Passes that measure what was proposed on the judging half, and keep what is surely better."""

from __future__ import annotations

from dataclasses import replace

import torch

from softjpeg.learning.choice import choose
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.proposals import default_candidate
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.state import Candidate, State


class ChoicePass(Pass):
    """*Choice*: measures the proposed tables, and keeps the ones whose gain is surest.

    Attributes:
        losses: (candidates, networks) of each batch.
    """

    def batches(self, objective: Objective) -> list[slice]:
        """Of the judging half."""
        return objective.judged

    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """Nothing measured."""
        self.losses: list[list[list[float]]] = []

    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """The loss of one batch behind all candidates."""
        tables = [c.tables for c in self._candidates(state, control)]
        self.losses.append(objective.losses(batch, tables))

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Keep one, with its gain."""
        candidates = self._candidates(state, control)
        losses = torch.tensor(self.losses, dtype=torch.float64)
        chosen, gain = choose(
            losses,
            [control.rates.bpp(c.tables) for c in candidates],
            candidates[0].rate_weight,
            worst_case=objective.worst_case,
        )
        current, scales = candidates[chosen], losses[:, -1].mean(0).tolist()
        return replace(state, current=current, candidates=[], scales=scales, gain=gain)

    def _candidates(self, state: State, control: RateControl) -> list[Candidate]:
        """What is measured, the default tables last."""
        return state.candidates


class BlendPass(ChoicePass):
    """*Blend*: the choice among what the sensitivity pass proposes: blends with default tables."""

    def sentence(self, state: State, objective: Objective) -> str | None:
        """What was measured of tables that follow from the sensitivity alone."""
        gain, current = state.gain, state.current
        assert gain is not None
        default = (
            f"on this network, {objective.subsampling} default tables cost "
            f"{objective.networks.loss_kind} {gain.default_loss:.4f} at {gain.default_bpp:.3f} bpp"
        )
        if current.is_default:
            return f"{default}, and its sensitivity alone tells nothing better"
        return f"{default}, tables from its sensitivity alone {gain.loss:.4f} at {gain.bpp:.3f}"


class DefaultsPass(ChoicePass):
    """*Defaults*: measures the default tables alone, to compare subsamplings by."""

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Their loss and rate; what has been learned stays."""
        return replace(super().finish(state, objective, control), current=state.current)

    def _candidates(self, state: State, control: RateControl) -> list[Candidate]:
        return [default_candidate(state.current.model, 0.0, control)]
