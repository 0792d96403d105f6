"""What every pass over the images has: its batches, and what is done before, at and after them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any

from softjpeg.learning.objective import Objective
from softjpeg.learning.rate_control import RateControl
from softjpeg.learning.state import State


@dataclass
class Pass(ABC):
    """One way through some of the images.

    `begin`, then `step` for each batch, then `finish`. Fields of the dataclass are settings, and
    tell one run from another. All other attributes are what the pass gathers: `begin` sets them,
    `step` fills them, and a checkpoint holds them.

    Attributes:
        target_bpp: bits per pixel to learn for from here on; None where that stays as it is.
    """

    target_bpp: float | None = field(default=None, kw_only=True)

    @abstractmethod
    def batches(self, objective: Objective) -> list[slice]:
        """The images to go through, batch by batch."""

    @abstractmethod
    def begin(self, state: State, objective: Objective, control: RateControl) -> None:
        """Prepare what is to be measured.

        Args:
            state: what the passes before have learned.
            objective: networks and images.
            control: at the rate that is learned for.
        """

    @abstractmethod
    def step(self, batch: slice, state: State, objective: Objective, control: RateControl) -> None:
        """Measure one batch.

        Args:
            batch: one of `batches`.
            state: as for `begin`, with this batch counted in `done`.
            objective: networks and images.
            control: at the rate that is learned for.
        """

    @abstractmethod
    def finish(self, state: State, objective: Objective, control: RateControl) -> State:
        """What has been learned, with what all batches tell.

        Args:
            state: as for the last `step`.
            objective: networks and images.
            control: at the rate that is learned for.
        """

    def sentence(self, state: State, objective: Objective) -> str | None:
        """What the finished pass tells the user; None where that is nothing."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What has been gathered since `begin`."""
        settings = {setting.name for setting in fields(self)}
        return {name: value for name, value in vars(self).items() if name not in settings}

    def load_state_dict(self, gathered: dict[str, Any]) -> None:
        """Go on with what was gathered, in place of `begin`."""
        for name, value in gathered.items():
            setattr(self, name, value)
