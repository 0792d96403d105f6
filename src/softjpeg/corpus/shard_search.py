"""Whether a source is one of shards."""

from __future__ import annotations

import os
from pathlib import Path

from softjpeg.common.image_files import SUFFIXES
from softjpeg.corpus.places import is_url, place_of


def holds_shards(source: str | Path) -> bool:
    """Whether it is a URL, a tar or Parquet file, or a folder with one in it and no images."""
    if is_url(str(source)):
        return True
    if os.path.isdir(source):
        names = (name.lower() for _, _, names in os.walk(source) for name in names)
        if any(name.endswith(SUFFIXES) for name in names):
            return False
    return next(place_of(source).shards(), None) is not None
