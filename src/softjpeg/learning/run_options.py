"""How a learning run is made, saved and shown; what it is to reach is `goal`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from softjpeg.learning.backpropagation import Backpropagation, Method, descent_of
from softjpeg.presets.stored import check_center, check_short_side

Mode = Literal["hard", "rdo"]
"""Of the encoder to learn for: coefficients rounded, or decided by rate and distortion."""

SubsamplingOption = Literal["4:4:4", "4:2:2", "4:2:0", "auto"]
"""Resolution of chroma; "auto" for what measures best."""

ShortSideOption = int | Literal["auto"] | None
"""Of the stored images, as `Preset.short_side`; "auto" for what measures best at each rate."""

CenterOption = float | Literal["auto"] | None
"""What is stored whole, as `Preset.center`; "auto" for what the networks are seen to read."""

_MAX_SEED = (1 << 31) - 1


def check_seed(seed: int) -> None:
    """Raise ValueError unless a seed is from 0 to 2^31 - 1."""
    if not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"seed must be from 0 to {_MAX_SEED}, got {seed}")


@dataclass(frozen=True)
class RunOptions:
    """What `learn` takes beside its inputs and its goal, checked.

    Attributes:
        mode: of the encoder to learn for.
        rounds: of the four passes, at least 1.
        seed: of everything random, from 0 to 2^31 - 1.
        checkpoint: file that the run is saved in and resumed from.
        progress: show a progress bar on a terminal.
        log: takes sentences of what is measured on the way.
        short_side: of the images to learn for, as they are stored.
        center: what is stored whole of the images to learn for.
        method: how to learn; `descent` has the settings that a name stands for.

    Raises:
        ValueError: a value out of its range.

    >>> RunOptions(rounds=2).seed
    0
    """

    mode: Mode = "hard"
    rounds: int = 1
    seed: int = 0
    checkpoint: str | os.PathLike[str] | None = None
    progress: bool = False
    log: Callable[[str], None] | None = None
    short_side: ShortSideOption = None
    center: CenterOption = None
    method: Method | Backpropagation = "measured"

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be {' or '.join(get_args(Mode))}, got {self.mode!r}")
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")
        check_seed(self.seed)
        if self.short_side != "auto":
            check_short_side(self.short_side)
        if self.center != "auto":
            check_center(self.center)
        descent_of(self.method)

    @property
    def descent(self) -> Backpropagation | None:
        """Settings of the backpropagation; None where the method has none."""
        return descent_of(self.method)

    def descent_facts(self) -> dict[str, Any]:
        """Those for the provenance, which says nothing of a method without."""
        return {} if self.descent is None else {"descent": asdict(self.descent)}

    def with_checkpoint(self, name: str) -> RunOptions:
        """The same with a file of its own, whose name begins with this one's."""
        if self.checkpoint is None:
            return self
        return replace(self, checkpoint=f"{os.fspath(self.checkpoint)}.{name}")
