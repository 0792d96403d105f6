"""`evaluate --against`: competitors' encoders, and those that cannot run in a line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from softjpeg.evaluation.competitors import Competitor, Context
    from softjpeg.evaluation.encoders import Encoder
    from softjpeg.jpeg.subsampling import Subsampling


def choose(text: str) -> list[Competitor]:
    """Competitors by the names in "mozjpeg,webp", or "all" but default JPEG itself.

    Raises:
        ValueError: no such name.
    """
    from softjpeg.evaluation.competitors import COMPETITORS

    if text == "all":
        return [each for name, each in COMPETITORS.items() if name != "default"]
    for name in text.split(","):
        if name not in COMPETITORS:
            known = ", ".join(COMPETITORS)
            raise ValueError(f"--against must be all or names of {known}, got {name!r}")
    return [COMPETITORS[name] for name in dict.fromkeys(text.split(","))]


def curves_of(
    chosen: Sequence[Competitor],
    context: Context,
    samplings: Sequence[Subsampling],
    report: Callable[[str, Exception], None],
) -> dict[str, dict[str, Encoder]]:
    """Every competitor's encoders at every subsampling, by the curve's name, then by their own.

    Args:
        chosen: as `choose` finds them.
        context: what they are given; its `subsampling` is replaced.
        samplings: of the JPEG ones; those that cannot write one are reported.
        report: told of a competitor that cannot run.
    """
    found: dict[str, dict[str, Encoder]] = {}
    if context.images is not None and chosen:
        context = replace(context, targets_bpp=_targets(context.images, context.qualities))
    for competitor in chosen:
        # Other formats sample chroma as they please.
        own = samplings[:1] if not competitor.jpeg else samplings
        for sampling in own:
            suffix = f" {sampling}" if len(own) > 1 else ""
            try:
                encoders = competitor.curve(replace(context, subsampling=sampling))
            # Whatever somebody else's method raises, the others go on.
            except Exception as error:
                report(f"{competitor.name}{suffix}", error)
                continue
            named = {f"{label}{suffix}": encoder for label, encoder in encoders.items()}
            found[f"{competitor.name}{suffix}"] = named
    return found


def _targets(images: Tensor, qualities: Sequence[int]) -> list[float]:
    """Up to five of default JPEG's rates, for competitors that learn at a rate."""
    from softjpeg.codec.file_sizes import bits_per_pixel
    from softjpeg.evaluation.encoders import default_jpeg

    some = images[:16]
    rates = [
        bits_per_pixel(sum(len(encoder(image)) for image in some), some)
        for encoder in default_jpeg(sorted(qualities), "4:2:0").values()
    ]
    return rates[:: -(-len(rates) // 5)]
