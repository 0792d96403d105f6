"""``softjpeg encode --network``: for each image the smallest file that networks read as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softjpeg.codec.closed_loop.judge import Judge
    from softjpeg.corpus.writing import EncodeSummary
    from softjpeg.jpeg.subsampling import SubsamplingOrGray


def encode_for_networks(
    images: Path,
    out: Path,
    judge: Judge,
    *,
    specs: Sequence[str],
    qualities: Sequence[int],
    samplings: Sequence[SubsamplingOrGray],
    short_sides: Sequence[int | None],
    center: str | None,
    effort: str,
    **options: Any,
) -> EncodeSummary:
    """For each image the smallest file found that keeps the networks' answers."""
    from softjpeg.cli.presets import stored_center
    from softjpeg.codec.closed_loop.candidates import at_short_sides, named_presets
    from softjpeg.codec.closed_loop.search import parse_effort
    from softjpeg.corpus.in_the_loop import encode_presets_in_the_loop

    steps, passes = parse_effort(effort)
    if passes and "progressive" in options:
        raise ValueError("--effort repair writes sequential files: leave --progressive out")
    presets = at_short_sides(named_presets(specs, sorted(qualities)), short_sides)
    if center is not None:
        presets = {n: replace(p, center=stored_center(center)) for n, p in presets.items()}
    if passes and any(preset.short_side or preset.center for preset in presets.values()):
        raise ValueError("--effort repair stores images whole: --short-side keep, --center none")
    return encode_presets_in_the_loop(
        images,
        out,
        presets,
        judge,
        subsamplings=samplings,
        effort=steps,
        passes=passes,
        # The sizes of different families' files are in another order for every image.
        by_size=any(len(family) > 1 for family in (specs, samplings, short_sides)),
        **options,
    )
