"""The lowest rate at which networks keep their answers, by bisection.

First over default JPEG's qualities, so that learning happens at about the right rate; then over the
rate of what was learned.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from softjpeg.learning.image_rates import QUALITIES, default_tables
from softjpeg.learning.objective import Objective
from softjpeg.learning.passes.learning_pass import Pass
from softjpeg.learning.proposals import at_rate, default_candidate
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.state import Candidate, State

_RATE_TRIES = 6
_LOWEST, _HIGHEST = 0.3, 1.2


def rates(default_bpp: float) -> list[float]:
    """63 rates, 2 % apart, about that of default tables which keep as much.

    >>> [round(rate, 3) for rate in rates(1.0)[::31]]
    [0.3, 0.6, 1.2]
    """
    count = (1 << _RATE_TRIES) - 1
    span = math.log(_HIGHEST / _LOWEST) / (count - 1)
    return [default_bpp * _LOWEST * math.exp(span * i) for i in range(count)]


def bisect(count: int, drops: Sequence[float], max_drop: float) -> tuple[int, float]:
    """The index to try next, or after enough tries the lowest that keeps the answers.

    Args:
        count: of candidates, ``2**n - 1``, in the order of their rate.
        drops: points lost at each one tried so far.
        max_drop: that may be lost.

    Returns:
        (index, points lost at it). While there are less than n drops, the index is the next to try;
        after n it is the answer, or `count` and the last one's points where none keeps them.

    >>> bisect(7, [], 1.0)[0], bisect(7, [0.5], 1.0)[0], bisect(7, [0.5, 2.0, 0.7], 1.0)
    (3, 1, (2, 0.7))
    """
    low, high, lost = 0, count, drops[-1] if drops else math.nan
    for drop in drops:
        middle = (low + high) // 2
        if drop <= max_drop:
            high, lost = middle, drop
        else:
            low = middle + 1
    return (low + high) // 2, lost


@dataclass
class _DropSearch(Pass):
    """Goes through the judging half once for each try of a bisection.

    Attributes:
        max_drop: points (percent) of answers that may be lost.
        candidate: whose answers are counted, and in the end the one that was looked for.
        kept_answers: behind it, of each batch and network.
        drops: points lost at the candidates before it.
    """

    max_drop: float
    tries: ClassVar[int]

    @abstractmethod
    def _candidate_at(self, index: int, state: State, control: RateControl) -> Candidate:
        """One of the ``2**tries - 1`` that may be tried; the last one for any index above."""

    def batches(self, objective: Objective) -> list[slice]:
        """The judging half, for each try."""
        return objective.judged * self.tries

    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """The middle one."""
        self.kept_answers: list[list[float]] = []
        self.drops: list[float] = []
        self._to_next(state, control)

    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """Count the answers of one batch; after the last one go on to the next candidate."""
        self.kept_answers.append(objective.kept_answers(batch, self.candidate.tables))
        if len(self.kept_answers) == len(objective.judged):
            self.drops.append(self._drop(objective))
            self.kept_answers = []
            self._to_next(state, control)

    @property
    def drop(self) -> float:
        """Points lost at the candidate that the search ended with."""
        return self._bisect()[1]

    def _bisect(self) -> tuple[int, float]:
        return bisect((1 << self.tries) - 1, self.drops, self.max_drop)

    def _to_next(self, state: State, control: RateControl) -> None:
        self.candidate = self._candidate_at(self._bisect()[0], state, control)

    def _drop(self, objective: Objective) -> float:
        uncompressed = torch.tensor(objective.kept_uncompressed())
        compressed = torch.tensor(self.kept_answers).sum(0)
        images = len(objective.images) - objective.judged[0].start
        lost = 100 * (uncompressed - compressed) / images
        return float(lost.max() if objective.worst_case else lost.mean())


class QualitySearch(_DropSearch):
    """*Quality*: the lowest quality of default JPEG that keeps the answers."""

    # Of 31 qualities.
    tries: ClassVar[int] = 5

    def _candidate_at(self, index: int, state: State, control: RateControl) -> Candidate:
        """Default tables."""
        quality = QUALITIES[min(index, len(QUALITIES) - 1)]
        return replace(state.current, tables=default_tables(quality))

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Its rate is what to learn for."""
        bpp = control.rates.bpp(self.candidate.tables)
        return replace(state, target_bpp=bpp, default_bpp=bpp, drop=self.drop)

    def sentence(self, state: State, objective: Objective) -> str | None:
        """What default tables need."""
        return f"default tables lose {state.drop:.2f} points at {state.default_bpp:.3f} bpp"


class RateSearch(_DropSearch):
    """*Rate*: the lowest rate at which the learned tables keep the answers."""

    tries: ClassVar[int] = _RATE_TRIES

    def _candidate_at(self, index: int, state: State, control: RateControl) -> Candidate:
        """What was learned, at another rate."""
        assert state.default_bpp is not None
        tried = rates(state.default_bpp)
        return at_rate(state.current, control.at(tried[min(index, len(tried) - 1)]))

    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """Keep the tables of that rate, or default ones where these need no more bytes."""
        learned, drop = self.candidate, self.drop
        bpp = control.rates.bpp(learned.tables)
        default_bpp, default_drop = state.default_bpp, state.drop
        assert default_bpp is not None
        assert default_drop is not None
        if default_drop <= self.max_drop and (drop > self.max_drop or bpp > default_bpp):
            # Learning gained nothing that could be spent on rate.
            model, rate_weight = state.current.model, state.current.rate_weight
            learned = default_candidate(model, rate_weight, control.at(default_bpp))
            bpp, drop = default_bpp, default_drop
        return replace(state, current=learned, target_bpp=bpp, drop=drop)
