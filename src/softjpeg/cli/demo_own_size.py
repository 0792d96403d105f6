"""The demo's first part: the ladders that come along, on photos at their own size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softjpeg.evaluation.gain import Gain
    from softjpeg.presets.preset import Preset

READERS = {
    "efficientnet-lite0": "which it was learned for",
    "efficientnet-lite2": "for which nothing was learned",
    "squeezenet1.1": "which it was learned for too",
}
CURVES: dict[str, tuple[str, float | None, str]] = {
    "universal": ("universal", None, "the universal preset needs {} than default JPEG at equal KL"),
    "universal-288": ("universal-288", None, "with photos stored at a shorter side of 288, {}"),
    "universal-288, center": ("universal-288", 0.9, "and their centre alone whole, {}"),
}
"""Ladders, what is stored whole as `Preset.center` has it, and what is said of them."""

_QUALITIES = (5, 12, 25, 60)


def own_size_gains(paths: Sequence[Path], output: Path, facts: Mapping[str, str]) -> list[Gain]:
    """What `READERS` make of the built-in ladders' files beside default JPEG's.

    Args:
        paths: of photos; each network reads them through its own resize and crop.
        output: folder for own-size.json, with every point.
        facts: to keep beside the points.

    Returns:
        The gain of each of `CURVES` for each network, in whole files at equal KL.
    """
    import torch

    from softjpeg.common.image_files import ImageFiles
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.rate_accuracy import evaluate
    from softjpeg.evaluation.results import save_json
    from softjpeg.models.network import load_network
    from softjpeg.presets.ladder import Ladder

    def presets(curve: str) -> dict[str, Preset]:
        name, center, _ = CURVES[curve]
        ladder = Ladder.load(name)
        return {f"{curve} q {q}": replace(ladder.at(q), center=center) for q in _QUALITIES}

    layout: Any = {"memory_format": torch.channels_last}
    points = evaluate(
        {name: load_network(name).reader.to(**layout) for name in READERS},
        ImageFiles(paths),
        {curve: presets(curve) for curve in CURVES},
        qualities=_QUALITIES,
        progress=True,
    )
    measured = gains(points)
    save_json(points, output / "own-size.json", dict(facts), measured)
    return [g for g in measured if (g.rate, g.quality) == ("bpp", "kl")]


def own_size_sentences(measured: Sequence[Gain], photos: int) -> list[str]:
    """What was measured, with its intervals: a sentence for each network.

    Args:
        measured: of `own_size_gains`.
        photos: how many.
    """
    sentences = []
    for reader in dict.fromkeys(gain.reader for gain in measured):
        of_reader = {gain.curve: gain for gain in measured if gain.reader == reader}
        needs = "; ".join(CURVES[name][-1].format(_bytes(gain)) for name, gain in of_reader.items())
        sentences.append(
            f"{photos} photos at their own size, read by {reader}, "
            f"{READERS.get(reader, 'another network')}: {needs}."
        )
    return sentences


def _bytes(gain: Gain) -> str:
    rate = gain.bd_rate
    if rate.low < 0 < rate.high:
        within = f"from {-100 * rate.low:.0f} % fewer to {100 * rate.high:.0f} % more"
    else:
        low, high = sorted(100 * abs(end) for end in (rate.low, rate.high))
        within = f"{low:.0f} to {high:.0f}"
    return f"{100 * abs(rate.value):.0f} % {'fewer' if rate.value < 0 else 'more'} bytes ({within})"
