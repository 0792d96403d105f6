"""Ladders of encoders, from the smallest files to the best ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from softjpeg.codec.image import Mode, encode
from softjpeg.jpeg.subsampling import SubsamplingOrGray
from softjpeg.presets.loading import load
from softjpeg.presets.preset import Preset

Encoder = Callable[[Any], bytes]
"""From an image, of any type that `encode` takes, to the bytes of a file that Pillow decodes."""


@dataclass(frozen=True)
class Candidate:
    """One way to encode an image.

    Attributes:
        name: what a manifest calls it.
        encode: from the image to a file.
    """

    name: str
    encode: Encoder


def preset_candidates(
    presets: Mapping[str, Preset],
    subsamplings: Sequence[SubsamplingOrGray] = (),
    *,
    mode: Mode = "hard",
    seed: int | None = None,
    **options: Any,
) -> list[Candidate]:
    """A candidate for each preset and subsampling.

    Args:
        presets: by name, from the smallest files to the largest.
        subsamplings: of "4:4:4", "4:2:2", "4:2:0" and "gray" (colour is left out); default: each
            preset's own.
        mode: "hard", "probabilistic" or "rdo".
        seed: of "probabilistic".
        options: of `softjpeg.encode`, passed on.

    >>> [c.name for c in preset_candidates(default_presets([5, 50]), ["4:2:0", "gray"])]
    ['default q 5 4:2:0', 'default q 5 gray', 'default q 50 4:2:0', 'default q 50 gray']
    """
    candidates = []
    for name, preset in presets.items():
        for subsampling in subsamplings or [preset.subsampling]:
            how = dict(options, mode=mode, seed=seed)
            if subsampling == "gray":
                how |= {"preset": preset, "gray": True}
            else:
                how |= {"preset": replace(preset, subsampling=subsampling)}
            candidates.append(Candidate(f"{name} {subsampling}", partial(encode, **how)))
    return candidates


def default_presets(qualities: Iterable[int]) -> dict[str, Preset]:
    """libjpeg's default tables at qualities 1..100, 4:2:0."""
    return {f"default q {quality}": Preset.from_quality(quality) for quality in qualities}


def at_short_sides(
    presets: Mapping[str, Preset], short_sides: Sequence[int | None]
) -> dict[str, Preset]:
    """Every preset at every stored size.

    Args:
        presets: by name.
        short_sides: as `Preset.short_side`; none of them leaves each preset its own.

    >>> list(at_short_sides(default_presets([5]), [256, None]))
    ['default q 5 short side 256', 'default q 5 short side keep']
    """
    if not short_sides:
        return dict(presets)
    return {
        f"{name} short side {side or 'keep'}": replace(preset, short_side=side)
        for name, preset in presets.items()
        for side in short_sides
    }


def named_presets(specs: Sequence[str], qualities: Sequence[int]) -> dict[str, Preset]:
    """Presets by the words a user gives.

    Args:
        specs: presets' or ladders' files or built-in names, or "default" for libjpeg's tables.
        qualities: 1..100, at which ladders and "default" are taken.

    Raises:
        ValueError: no such file or name, or a quality out of its range.
    """
    presets: dict[str, Preset] = {}
    for spec in specs:
        if spec == "default":
            presets |= default_presets(qualities)
            continue
        loaded = load(spec)
        presets |= (
            {spec: loaded}
            if isinstance(loaded, Preset)
            else {f"{spec} q {quality}": loaded.at(quality) for quality in qualities}
        )
    return presets
