"""Files from the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path

from softjpeg.common.extras import import_extra

_PREFIX = "hub:"


def is_on_hub(spec: str | os.PathLike[str]) -> bool:
    """Whether a name is hub:ORG/NAME.

    >>> is_on_hub("hub:org/preset"), is_on_hub("preset.json")
    (True, False)
    """
    return str(spec).startswith(_PREFIX)


def hub_file(spec: str | os.PathLike[str], file: str) -> Path:
    """A file of a repository, downloaded when it is not in the Hub's cache.

    Args:
        spec: hub:ORG/NAME, or hub:ORG/NAME@REVISION. With HF_HUB_OFFLINE=1 only the cache is read.
        file: its name in the repository.

    Raises:
        ValueError: no such repository, revision or file, or the Hub is not reached.
        ImportError: huggingface_hub is not installed.
    """
    name, _, revision = str(spec).removeprefix(_PREFIX).partition("@")
    if name.count("/") != 1:
        raise ValueError(f"name must be hub:ORG/NAME or hub:ORG/NAME@REVISION, got {str(spec)!r}")
    hub = import_extra("huggingface_hub", extra="hub")
    try:
        return Path(hub.hf_hub_download(name, file, revision=revision or None))
    # The Hub's client and its transport each have errors of their own.
    except Exception as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{spec}: no {file} could be had from the Hub: {why}") from error
