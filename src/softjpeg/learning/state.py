"""What learning knows between two passes: tables, their model, and what they gain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from softjpeg.learning.image_rates import Tables, default_tables
from softjpeg.learning.rate_control import QuadraticModel, RateControl


@dataclass(frozen=True)
class Candidate:
    """Tables whose loss is to be measured, and the model they follow from.

    Attributes:
        tables: (luma, chroma).
        model: whose optimum they are.
        rate_weight: λ in loss per bit per pixel.
        is_default: the tables are Annex K's, and the model what they imply.
        hardness: (2, 8, 8) h = αq² learned with the tables; None where it is still to be chosen.
    """

    tables: Tables
    model: QuadraticModel
    rate_weight: float
    is_default: bool = False
    hardness: Tensor | None = None


@dataclass(frozen=True)
class MeasuredGain:
    """Learned tables beside the default ones of the same rate, on the judging half.

    Attributes:
        loss, bpp: of the learned tables; the loss of several networks is their mean or worst, each
            relative to its own behind the default tables, times the mean of those.
        default_loss, default_bpp: of the default tables.
        networks: each network's own (loss, loss behind the default tables).
    """

    loss: float
    bpp: float
    default_loss: float
    default_bpp: float
    networks: list[list[float]]

    @property
    def default_losses(self) -> list[float]:
        """Each network's loss behind the default tables."""
        return [default for _, default in self.networks]


@dataclass(frozen=True)
class State:
    """What has been learned so far.

    Attributes:
        current: the best tables yet.
        done: batches gone through, over all passes.
        target_bpp: the rate learned for; None where λ is given, or the rate not known yet.
        candidates: what the last pass proposes for the next one to measure, default tables last.
        scales: loss of each network behind default tables.
        gain: of the current tables at this rate; None where nothing was chosen yet.
        finished: of a ladder, tables and gain at the rates before.
        drop: points of answers lost at the rate that a search found.
        default_bpp: bits per pixel at which default tables lose no more than is allowed.
    """

    current: Candidate
    done: int = 0
    target_bpp: float | None = None
    candidates: list[Candidate] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    gain: MeasuredGain | None = None
    finished: list[tuple[Candidate, MeasuredGain]] = field(default_factory=list)
    drop: float | None = None
    default_bpp: float | None = None

    def at(self, target_bpp: float | None) -> State:
        """Put aside what was learned, and go on to another rate from there; None stays here."""
        if target_bpp in (None, self.target_bpp):
            return self
        if self.gain is None:
            return replace(self, target_bpp=target_bpp)
        finished = [*self.finished, (self.current, self.gain)]
        return replace(self, target_bpp=target_bpp, finished=finished, gain=None)


class RateResult(NamedTuple):
    """What was learned for one rate."""

    control: RateControl
    learned: Candidate
    gain: MeasuredGain


def first_state() -> State:
    """Default tables of quality 50, nothing measured.

    At the qualities of low rates a network hardly sees the image, and its gradient misleads.
    """
    one = torch.ones(3, 8, 8)
    return State(Candidate(default_tables(50), QuadraticModel(one, one), 0.0))
