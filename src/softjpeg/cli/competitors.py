"""`evaluate --against`: competitors' encoders, and those that cannot run in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import typer

from softjpeg.cli.app import sentence

if TYPE_CHECKING:
    from torch import Tensor

    from softjpeg.evaluation.competitors import Competitor, Context
    from softjpeg.evaluation.encoders import Encoder
    from softjpeg.jpeg.subsampling import SubsamplingOrGray


def choose(text: str | None) -> list[Competitor]:
    """Competitors by the names in "mozjpeg,webp", or "all" but default JPEG itself; None for none.

    Raises:
        ValueError: no such name.
    """
    from softjpeg.evaluation.competitors import COMPETITORS

    if text is None:
        return []
    if text == "all":
        return [each for name, each in COMPETITORS.items() if name != "default"]
    for name in text.split(","):
        if name not in COMPETITORS:
            known = ", ".join(COMPETITORS)
            raise ValueError(f"--against must be all or names of {known}, got {name!r}")
    return [COMPETITORS[name] for name in dict.fromkeys(text.split(","))]


@dataclass
class Rivals:
    """Competitors' encoders, and why others could not run.

    Attributes:
        curves: encoders by the curve's name, then by their own.
        failures: what kept competitors from running, each with the first that it kept.
    """

    curves: dict[str, dict[str, Encoder]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def failed(self, name: str, error: Exception) -> None:
        """Note why an encoder failed, as `softjpeg.evaluate` says it: only competitors may.

        Raises:
            ValueError: `name` is no competitor's.
        """
        if not any(name in curve for curve in self.curves.values()):
            raise ValueError(f"{name}: {error}") from error
        self.note(name, error)

    def note(self, name: str, error: Exception) -> None:
        """Note why a competitor cannot run."""
        self.failures.setdefault(sentence(error), name)

    def show_failures(self) -> None:
        """A line for each."""
        for reason, name in self.failures.items():
            typer.echo(f"softjpeg: {reason if name in reason else f'{name}: {reason}'}", err=True)


def rivals(
    chosen: Sequence[Competitor], context: Context, samplings: Sequence[SubsamplingOrGray]
) -> Rivals:
    """Every competitor's encoders at every subsampling.

    Args:
        chosen: of `choose`.
        context: what they are given; its `subsampling` is replaced. Beside what stores only its
            `center` whole there is the same without.
        samplings: of the JPEG ones, "4:4:4", "4:2:2" or "4:2:0", whoever cannot write one fails;
            "gray" is left out.
    """
    run, coloured = Rivals(), [sampling for sampling in samplings if sampling != "gray"]
    if context.images is not None and chosen:
        context = replace(context, targets_bpp=_targets(context.images, context.qualities))
    for competitor in chosen:
        # Other formats sample chroma as they please.
        written = coloured if competitor.jpeg else coloured[:1]
        for sampling, center in product(written, dict.fromkeys([None, context.center])):
            suffix = f" {sampling}" if len(written) > 1 else ""
            suffix += "" if center is None else ", center"
            curve = f"{competitor.name}{suffix}"
            try:
                encoders = competitor.curve(replace(context, subsampling=sampling, center=center))
            # Whatever somebody else's method raises, the others go on.
            except Exception as error:
                run.note(curve, error)
                continue
            run.curves[curve] = {f"{label}{suffix}": each for label, each in encoders.items()}
    return run


def _targets(images: Tensor, qualities: Sequence[int]) -> list[float]:
    """Up to five of default JPEG's rates, for competitors that learn at a rate."""
    from softjpeg.codec.file_sizes import bits_per_pixel
    from softjpeg.common.image_sequence import pixel_count
    from softjpeg.evaluation.encoders import default_jpeg

    some = images[:16]
    rates = [
        bits_per_pixel(sum(len(encoder(image)) for image in some), pixel_count(some))
        for encoder in default_jpeg(sorted(qualities), "4:2:0").values()
    ]
    return rates[:: -(-len(rates) // 5)]
