"""Passes that go down the gradient of loss + λ·rate, and measure where that led."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from softjpeg.learning.backpropagation import Backpropagation, Slopes, slopes
from softjpeg.learning.choice import choose, measured_gain
from softjpeg.learning.image_rates import Tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.choice_passes import ChoicePass
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.proposals import default_candidate
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.state import Candidate, State

_BETAS = (0.9, 0.99)
_MOST_HARDNESS = 500.0
_MEMORY = 0.95
"""Of the slopes along a common factor of all steps, from batch to batch."""
_CHECKED_EVERY = 10
"""Steps from one count of the files' bytes to the next."""
_LARGEST_MOVE = 0.1
"""Of all log q at once, to return to the target rate."""


@dataclass
class DescentPass(Pass):
    """*Descent*: Adam on log q and log h of every entry, and the mean of its iterates.

    At a target rate λ is what makes a common factor of all steps neither better nor worse, and such
    a factor keeps the files at their rate.

    Attributes:
        settings: of the descent.
        logs: (2, 2, 8, 8), log q and log h of luma and chroma.
        total: the sum of these over the second half of the steps.
        along: (2,), slopes of loss and rate along a common factor of all steps.
        scales: loss of each network behind the default tables.
        done: steps made.
        optimizer: Adam.
    """

    settings: Backpropagation = field(default_factory=Backpropagation)

    def batches(self, objective: Objective) -> list[slice]:
        """Of the measuring half, each epoch in an order of its own."""
        generator = torch.Generator().manual_seed(objective.seed)
        measured = objective.measured
        drawn: list[slice] = []
        while len(drawn) < self.settings.steps:
            order = torch.randperm(len(measured), generator=generator)
            drawn += [measured[i] for i in order.tolist()]
        return drawn[: self.settings.steps]

    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """Start from the current tables, or from the default ones."""
        tables = self._start(state, control)
        log_q = torch.stack([table.float() for table in tables]).log()
        least = math.log(self.settings.least_hardness(0))
        self.logs = torch.stack([log_q, torch.full_like(log_q, least)])
        self.total, self.along, self.done = torch.zeros_like(self.logs), torch.zeros(2), 0
        self.scales = [1.0]
        if len(objective.networks) > 1:
            self.scales = objective.losses(objective.measured[0], [control.default])[0]
        self._make_optimizer()

    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """One of Adam's."""
        settings = self.settings
        found = slopes(objective, batch, self.logs, settings, self.scales)
        here = torch.stack([slope[0].sum() for slope in found])
        self.along = here if not self.done else _MEMORY * self.along + (1 - _MEMORY) * here
        self._descend(found, self._rate_weight(control))
        self.done += 1
        if control.target_bpp is not None and self.done % _CHECKED_EVERY == 0:
            missing = control.target_bpp - control.rates.bpp(_integers(self.logs[0]))
            move = missing / min(float(self.along[1]), -1e-6)
            self.logs[0] += max(-_LARGEST_MOVE, min(_LARGEST_MOVE, move))
        self._clamp()
        if 2 * self.done > settings.steps:
            self.total += self.logs

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Propose the mean iterate at the target rate, beside the start and the default tables."""
        mean = self.total / (self.settings.steps - self.settings.steps // 2)
        tables = _integers(mean[0])
        if control.target_bpp is not None:
            luma, chroma = mean[0].exp()
            tables = control.scaled((luma, chroma), control.target_bpp)
        rate_weight = self._rate_weight(control)
        model = control.blend(state.current.model, 1.0, tables)
        hardness = mean[1].exp() if self.settings.forward == "soft" else None
        descended = Candidate(tables, model, rate_weight, hardness=hardness)
        default = default_candidate(state.current.model, rate_weight, control)
        start = state.current if self.settings.start == "measured" else default
        return replace(state, candidates=[descended, start, default])

    def state_dict(self) -> dict[str, Any]:
        """With the optimizer's own."""
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, gathered: dict[str, Any]) -> None:
        """The inverse."""
        super().load_state_dict(gathered)
        self._make_optimizer()
        self.optimizer.load_state_dict(gathered["optimizer"])

    def _start(self, state: State, control: RateControl) -> Tables:
        if self.settings.start == "measured":
            return state.current.tables
        if state.finished and control.target_bpp is not None:
            # Of a ladder: what was learned at the rate before.
            return control.scaled(state.current.tables, control.target_bpp)
        return control.default

    def _make_optimizer(self) -> None:
        self.optimizer = torch.optim.Adam([self.logs], betas=_BETAS)

    def _rate_weight(self, control: RateControl) -> float:
        if control.rate_weight is not None:
            return control.rate_weight
        of_loss, of_rate = self.along.tolist()
        return float(max(of_loss, 0.0) / max(-of_rate, 1e-6))

    def _descend(self, found: Slopes, rate_weight: float) -> None:
        (group,) = self.optimizer.param_groups
        group["lr"] = self.settings.learning_rate * (1 - self.done / self.settings.steps)
        self.logs.grad = found.loss + rate_weight * found.rate
        if self.settings.forward == "hard":
            # Rounded coefficients have none to learn.
            self.logs.grad[1] = 0
        self.optimizer.step()
        self.logs.grad = None

    def _clamp(self) -> None:
        self.logs[0].clamp_(0, math.log(255))
        least = self.settings.least_hardness(self.done)
        self.logs[1].clamp_(math.log(least), math.log(max(least, _MOST_HARDNESS)))


@dataclass
class DescentChoice(ChoicePass):
    """*Choice* after a descent: its tables; or the start, where they are not surely better.

    Attributes:
        settings: of the descent.
    """

    settings: Backpropagation = field(default_factory=Backpropagation)

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Keep one, with its gain on the default tables."""
        losses = torch.tensor(self.losses, dtype=torch.float64)
        bpp = [control.rates.bpp(candidate.tables) for candidate in state.candidates]
        worst_case, chosen = objective.worst_case, 0
        if self.settings.start == "measured":
            rate_weight = state.candidates[0].rate_weight
            chosen, _ = choose(losses[:, :2], bpp[:2], rate_weight, worst_case=worst_case)
        gain = measured_gain(losses, bpp, chosen, worst_case=worst_case)
        scales = losses[:, -1].mean(0).tolist()
        self.words = _sentence(losses, bpp, chosen, self.settings.start)
        return replace(
            state, current=state.candidates[chosen], candidates=[], scales=scales, gain=gain
        )

    def sentence(self, state: State, objective: Objective) -> str:
        """What the descent led to, and whether it was kept."""
        return f"{objective.networks.loss_kind} {self.words}"


def _sentence(losses: Tensor, bpp: list[float], chosen: int, start: str) -> str:
    descended, begun, _ = losses.mean((0, 2)).tolist()
    led = f"{descended:.4f} at {bpp[0]:.3f} bpp by backpropagation from {begun:.4f} at {bpp[1]:.3f}"
    if start == "default":
        return led
    return f"{led}: {'taken' if chosen == 0 else 'not surely better, the start is kept'}"


def _integers(log_q: Tensor) -> Tables:
    luma, chroma = log_q.exp().round().clamp(1, 255).long()
    return luma, chroma
