"""All rows of the manifests below a folder as one Parquet file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from softjpeg.common.extras import import_extra
from softjpeg.common.files import atomic_file
from softjpeg.corpus.manifest import NAME
from softjpeg.corpus.records import FIELDS, Record, is_record, parse_line

_GROUP = 50_000
"""Rows that are in memory at a time, and a row group of the file."""

_COLUMNS = {str: "string", int: "int64", bool: "bool_"}
"""By the types of `FIELDS`."""


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
    fields = {"manifest": str, **FIELDS}
    kinds = {name: getattr(pa, _COLUMNS[kind])() for name, kind in fields.items()}
    lists = {"remarks": pa.list_(pa.string()), "measures": pa.map_(pa.string(), pa.float64())}
    schema = pa.schema({**kinds, **lists})
    rows, count = _rows(folder, paths), 0
    with atomic_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        while group := list(islice(rows, _GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
            count += len(group)
    return count


def _manifests(folder: Path) -> list[Path]:
    """Of folders and of shards, in a fixed order."""
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.name == NAME or path.name.endswith(f".{NAME}"))


def _rows(folder: Path, paths: list[Path]) -> Iterator[Record]:
    known = {*FIELDS, "remarks", "measures"}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    body = parse_line(line)
                    # Runs, what was left out, and a shard's first line are no images'.
                    if "settings" in body or "left_out" in body:
                        continue
                    unknown = body.keys() - known
                    if not unknown and not is_record(body):
                        raise ValueError
                except ValueError:
                    unknown = {"no manifest's line"}
                if unknown:
                    what = ", ".join(sorted(unknown))
                    raise ValueError(f"{path}, line {number} is not known here: {what}")
                yield _row({**body, "manifest": name})


def _row(body: Record) -> Record:
    """As a table has it, in UTF-8, which names of files need not be."""
    if "measures" in body:
        body["measures"] = list(body["measures"].items())
    if "remarks" in body:
        body["remarks"] = list(map(_utf8, body["remarks"]))
    return {key: _utf8(value) if isinstance(value, str) else value for key, value in body.items()}


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
