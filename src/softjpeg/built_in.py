"""Presets and ladders as files, and the ones that come with softjpeg."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).parent / "presets"
_MAX_BYTES = 1 << 23


def built_in() -> dict[str, Path]:
    """The ladders and presets that come with softjpeg, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.json"))}


def read_text(spec: str | os.PathLike[str]) -> tuple[str, str]:
    """The text of a preset's or ladder's file, or of a built-in one, and the name for errors.

    Raises:
        ValueError: no such file or name, or it cannot be read, or is over 8 MiB.
    """
    path = Path(spec)
    if not path.exists():
        known = built_in()
        if str(spec) not in known:
            names = ", ".join(known) or "none yet"
            raise ValueError(f"{spec} is neither a file nor a built-in preset ({names})")
        path = known[str(spec)]
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{spec} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{spec} is not a preset: it is larger than {_MAX_BYTES} bytes")
    try:
        return data.decode(), os.fspath(spec)
    except UnicodeDecodeError:
        raise ValueError(f"{spec} is not a preset: it is not UTF-8 text") from None
