"""All rows of the manifests below a folder as one Parquet file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from softjpeg.common.extras import import_extra
from softjpeg.common.files import atomic_file
from softjpeg.corpus.manifest import NAME

_GROUP = 50_000
"""Rows that are in memory at a time, and a row group of the file."""

_TYPES = {
    "manifest": "string",
    "key": "string",
    "status": "string",
    "error": "string",
    "detail": "string",
    "source_sha256": "string",
    "source_bytes": "int64",
    "source_mtime_ns": "int64",
    "source_kept": "bool",
    "file": "string",
    "sha256": "string",
    "bytes": "int64",
    "width": "int64",
    "height": "int64",
    "quality": "int64",
    "seed": "int64",
    "encoder": "string",
    "kept": "bool",
    "runs": "int64",
    "run": "string",
}
"""Columns; beside them `remarks`, a list of strings, and `measures`, a map of numbers by name."""


def write_table(folder: Path, out: Path) -> int:
    """Write the rows of all manifests below a folder to a Parquet file, all of it or none.

    A row is a manifest's line of an image; its column `manifest` names the file that it is in,
    from the folder. What a line does not say is null.

    Args:
        folder: that `encode_files` or `encode_shards` wrote to.
        out: the Parquet file.

    Returns:
        How many rows there are.

    Raises:
        ValueError: no folder, no manifest in it, or a line that is none's.
        ImportError: pyarrow is not installed.
    """
    pa, pq = import_extra("pyarrow", "corpus"), import_extra("pyarrow.parquet", "corpus")
    if not folder.is_dir():
        raise ValueError(f"the folder {folder} does not exist")
    paths = _manifests(folder)
    if not paths:
        raise ValueError(f"{folder} holds no manifest: encode with --manifest, or shards")
    kinds = {name: getattr(pa, kind.replace("bool", "bool_"))() for name, kind in _TYPES.items()}
    lists = {"remarks": pa.list_(pa.string()), "measures": pa.map_(pa.string(), pa.float64())}
    schema = pa.schema({**kinds, **lists})
    rows, count = _rows(folder, paths), 0
    with atomic_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, _GROUP)):
            try:
                writer.write_table(pa.Table.from_pylist(group, schema))
            except pa.ArrowException as error:
                names = f"{group[0]['manifest']} to {group[-1]['manifest']}"
                raise ValueError(f"a line of {names} cannot be a row: {error}") from error
            count += len(group)
    return count


def _manifests(folder: Path) -> list[Path]:
    """Of folders and of shards, in a fixed order."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.name == NAME or path.name.endswith(f".{NAME}"))


def _rows(folder: Path, paths: list[Path]) -> Iterator[dict[str, Any]]:
    known = {*_TYPES, "remarks", "measures"}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    body = json.loads(line)
                    # Runs, what was left out, and a shard's first line are no images'.
                    if "settings" in body or "left_out" in body:
                        continue
                    unknown = body.keys() - known
                    row = {**body, "manifest": name}
                    _ = row["key"] + row["status"]
                    row["measures"] = list(body["measures"].items()) if "measures" in body else None
                except (ValueError, KeyError, TypeError, AttributeError):
                    unknown = {"no manifest's line"}
                if unknown:
                    what = ", ".join(sorted(unknown))
                    raise ValueError(f"{path}, line {number} is not known here: {what}")
                yield row
