"""A preset or a ladder, whichever a file or a built-in name holds."""

from __future__ import annotations

import os

from softjpeg.presets.built_in import built_in_text
from softjpeg.presets.ladder import FORMAT, Ladder
from softjpeg.presets.preset import Preset


def load_preset(spec: str | os.PathLike[str], quality: float | None = None) -> Preset:
    """A preset, or a ladder's preset at a quality.

    Args:
        spec: a preset's or ladder's file, the name of a built-in one, or hub:ORG/NAME.
        quality: 1..100, for a ladder and only for one.

    Raises:
        ValueError: no such file or name, not a preset, or a quality too few or too many.
    """
    loaded = load(spec)
    if isinstance(loaded, Preset):
        if quality is not None:
            raise ValueError(f"{spec} is one preset, which has no quality {quality} to choose")
        return loaded
    if quality is None:
        raise ValueError(f"{spec} is a ladder of presets: choose a quality from 1 to 100")
    return loaded.at(quality)


def load(spec: str | os.PathLike[str]) -> Preset | Ladder:
    """Whichever of both a file or a built-in name holds.

    Raises:
        ValueError: no such file or name, or it is neither.
    """
    text, name = built_in_text(spec)
    kind: type[Preset | Ladder] = Ladder if f'"{FORMAT}"' in text[:200] else Preset
    return kind.from_json(text, name)
