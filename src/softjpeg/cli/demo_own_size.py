"""The demo's first part: the ladder that comes along, on photos at their own size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softjpeg.evaluation.gain import Gain

READERS = {
    "efficientnet-lite0": "which it was learned for",
    "efficientnet-lite2": "for which nothing was learned",
    "squeezenet1.1": "which it was learned for too",
}
_QUALITIES = (5, 8, 12, 20, 35, 60)


def own_size_gains(paths: Sequence[Path], output: Path, facts: Mapping[str, str]) -> list[Gain]:
    """What `READERS` make of the built-in ladder's files beside default JPEG's.

    Args:
        paths: of photos; each network reads them through its own resize and crop.
        output: folder for own-size.json, with every point.
        facts: to keep beside the points.

    Returns:
        The gain of each network in whole files at equal KL, in the order of `READERS`.
    """
    import torch

    from softjpeg.common.image_files import ImageFiles
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.rate_accuracy import evaluate
    from softjpeg.evaluation.results import save_json
    from softjpeg.models.network import load_network
    from softjpeg.presets.ladder import Ladder
    from softjpeg.presets.loading import load

    ladder = load("universal")
    assert isinstance(ladder, Ladder)
    layout: Any = {"memory_format": torch.channels_last}
    points = evaluate(
        {name: load_network(name).reader.to(**layout) for name in READERS},
        ImageFiles(paths),
        {"universal": {f"universal q {q}": ladder.at(q) for q in _QUALITIES}},
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
    return [
        f"{photos} photos at their own size, read by {gain.reader}, "
        f"{READERS.get(gain.reader, 'another network')}: the universal preset needs "
        f"{_bytes(gain)} than default JPEG at equal KL."
        for gain in measured
    ]


def _bytes(gain: Gain) -> str:
    rate = gain.bd_rate
    if rate.low < 0 < rate.high:
        within = f"from {-100 * rate.low:.0f} % fewer to {100 * rate.high:.0f} % more"
    else:
        low, high = sorted(100 * abs(end) for end in (rate.low, rate.high))
        within = f"{low:.0f} to {high:.0f}"
    return f"{100 * abs(rate.value):.0f} % {'fewer' if rate.value < 0 else 'more'} bytes ({within})"
