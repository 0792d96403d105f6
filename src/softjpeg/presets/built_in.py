"""Presets and ladders as files, and the ones that come with softjpeg."""

from __future__ import annotations

import os
from pathlib import Path

from softjpeg.common.bounds import MAX_LADDER_BYTES
from softjpeg.common.hub import hub_file, is_on_hub
from softjpeg.common.versioned_json import read_text

_FOLDER = Path(__file__).parent
HUB_FILE = "preset.json"
"""What a repository of the Hub calls its preset or ladder."""


def built_in() -> dict[str, Path]:
    """The ladders and presets that come with softjpeg, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.json"))}


def built_in_text(spec: str | os.PathLike[str], kind: str = "preset or ladder") -> tuple[str, str]:
    """The text of a preset's or ladder's file, or of a built-in one, and the name for errors.

    Args:
        spec: a file, the name of a built-in one, or hub:ORG/NAME, see `hub_file`.
        kind: what it should be, for errors.

    Raises:
        ValueError: no such file or name, or it cannot be read, or is over 8 MiB.
        ImportError: hub:ORG/NAME without softjpeg[hub].
    """
    if not isinstance(spec, (str, os.PathLike)):
        raise ValueError(f"{kind} must be a file or a name, got {type(spec).__name__}")
    path = hub_file(spec, HUB_FILE) if is_on_hub(spec) else Path(spec)
    # Unlike `path.exists`, this takes any name.
    if not os.path.exists(path):
        known = built_in()
        if str(spec) not in known:
            names = ", ".join(known) or "none yet"
            raise ValueError(f"{str(spec)[:80]} is neither a file nor a built-in preset ({names})")
        path = known[str(spec)]
    return read_text(path, spec, kind, MAX_LADDER_BYTES), os.fspath(spec)
