"""Which tar and Parquet files a source holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from softjpeg.common.image_files import SUFFIXES
from softjpeg.corpus.parquet_shards import PARQUET_SUFFIXES
from softjpeg.corpus.tar_shards import TAR_SUFFIXES


def holds_shards(source: Path) -> bool:
    """Whether a path is a tar or Parquet file, or a folder with one in it and no images."""
    if source.is_dir():
        names = (name.lower() for _, _, names in os.walk(source) for name in names)
        if any(name.endswith(SUFFIXES) for name in names):
            return False
    return next(find_shards(source), None) is not None


def find_shards(source: Path, besides: Path | None = None) -> Iterator[tuple[Path, str]]:
    """Each shard and its name below the source, in the names' order within each folder.

    Args:
        source: a shard, or a folder.
        besides: a folder that is not looked into.
    """
    if source.is_file():
        if source.name.endswith((*TAR_SUFFIXES, *PARQUET_SUFFIXES)):
            yield source, source.name
        return
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if besides is None or (here / name).resolve() != besides.resolve()
        )
        for name in sorted(names):
            if name.endswith((*TAR_SUFFIXES, *PARQUET_SUFFIXES)) and not name.startswith("."):
                yield here / name, (here / name).relative_to(source).as_posix()
