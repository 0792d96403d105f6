"""`Competitor`: another way to small files, as encoders over a range of rates."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from softjpeg.common.extras import remedy
from softjpeg.jpeg.subsampling import SUBSAMPLINGS, Subsampling

if TYPE_CHECKING:
    from torch import Tensor, nn

    from softjpeg.evaluation.encoders import Encoder

_PARTS = {"images": "learning images", "model": "a network"}


@dataclass(frozen=True)
class Context:
    """What competitors are given, all of them the same.

    Attributes:
        subsampling: of every JPEG file, "4:4:4", "4:2:2" or "4:2:0".
        qualities: 1..100, for those that have a quality or scale their tables by one.
        targets_bpp: bits per pixel of whole files, for those that learn tables at a rate.
        images: (N, 3, H, W) uint8 to learn from; never those to report on.
        labels: (N,) class indices, for those that can use them; None for the network's own answers.
        model: from (B, 3, H, W) RGB in [0, 1] to logits, in eval mode.
        center: of the images, what is stored whole, as `Preset` has it.
        seed: of everything random.
        progress: show progress bars on a terminal.
    """

    subsampling: Subsampling = "4:2:0"
    qualities: Sequence[int] = (5, 8, 12, 18, 26, 35, 50, 65, 80, 90)
    targets_bpp: Sequence[float] = (0.3, 0.45, 0.65, 0.9, 1.3)
    images: Tensor | None = None
    labels: Tensor | None = None
    model: nn.Module | None = None
    center: float | None = None
    seed: int = 0
    progress: bool = False


@dataclass(frozen=True)
class Competitor:
    """One way to encode, and what it takes to run it.

    Attributes:
        name: as in `softjpeg.evaluation.competitors.COMPETITORS`.
        description: one line.
        source: the paper or library it comes from; "ours, after ..." for a re-implementation.
        function: "module:function" of this package, from (context, **arguments) to encoders by
            their setting.
        arguments: of the function.
        needs: "images", "model" and names of modules that must be installed.
        subsamplings: that it can write.
        jpeg: False for another format, whose subsampling is its own affair.
        short_side: of the images it is given, as `Preset` has it.
    """

    name: str
    description: str
    source: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    subsamplings: tuple[Subsampling, ...] = tuple(SUBSAMPLINGS)
    jpeg: bool = True
    short_side: int | None = None

    def missing(self, context: Context) -> str | None:
        """Why it cannot run in this context, in one sentence; None where it can.

        >>> Competitor("x", "", "", "", needs=("model",)).missing(Context())
        'x needs a network'
        """
        if context.subsampling not in self.subsamplings:
            can = ", ".join(self.subsamplings)
            return f"{self.name} writes {can} only, not {context.subsampling}"
        for need in self.needs:
            if need in _PARTS:
                if getattr(context, need) is None:
                    return f"{self.name} needs {_PARTS[need]}"
            elif importlib.util.find_spec(need) is None:
                return f"{self.name} needs {need}: {remedy('competitors')}"
        return None

    def curve(self, context: Context) -> dict[str, Encoder]:
        """Encoders over its range of rates, by its name and their setting; may have to learn first.

        Raises:
            ValueError: it cannot run in this context.
        """
        from softjpeg.evaluation.encoders import each_of_stored

        if reason := self.missing(context):
            raise ValueError(reason)
        module, function = self.function.split(":")
        curve = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        encoders: dict[str, Encoder] = curve(context, **self.arguments)
        if self.short_side is not None or context.center is not None:
            encoders = each_of_stored(encoders, self.short_side, context.center)
        return {f"{self.name} {setting}": encoder for setting, encoder in encoders.items()}
