"""Parquet files with a column of images in Hugging Face's layout: all other columns as they are."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from softjpeg.common.extras import import_extra
from softjpeg.corpus.engine import Engine, Entry
from softjpeg.corpus.samples import Row

PARQUET_SUFFIXES = (".parquet",)


def encode_parquet(
    source: Path, file: IO[bytes], engine: Engine, prefix: str = ""
) -> Iterator[Row]:
    """Write a Parquet file anew with its images encoded; the rows come while it is written.

    Where an image fails, its row is left out; a row without an image (null) stays. Row groups are
    encoded one after the other.

    Args:
        source: the file, with one column of structs of bytes and path.
        file: to write to.
        engine: that encodes.
        prefix: of the rows' keys.

    Raises:
        ValueError: the source is no Parquet file, is damaged, or has not one column of images.
        ImportError: pyarrow is not installed.
    """
    pa, pq = import_extra("pyarrow", "corpus"), import_extra("pyarrow.parquet", "corpus")
    try:
        with pq.ParquetFile(source) as parquet:
            schema = parquet.schema_arrow
            column = image_column(schema, source)
            with pq.ParquetWriter(file, schema) as writer:
                start = 0
                for group in range(parquet.num_row_groups):
                    table = parquet.read_row_group(group)
                    cells = table.column(column).to_pylist()
                    kept: list[bool] = []
                    images: list[dict[str, Any] | None] = []
                    for entry, row in engine(_entries(cells, prefix, start)):
                        kept.append(row is None or row.data is not None)
                        images.append(entry.rest if row is None else _cell(entry, row))
                        if row is not None:
                            yield row
                    position = schema.get_field_index(column)
                    array = pa.array(images, schema.field(column).type)
                    table = table.set_column(position, schema.field(column), array)
                    writer.write_table(table.filter(pa.array(kept)))
                    start += len(cells)
    except pa.ArrowException as error:
        raise ValueError(f"{source} cannot be read as a Parquet file: {error}") from error


def parquet_images(path: Path) -> Generator[bytes, None, None]:
    """What is in the images of a Parquet file, in order, those that are null left out."""
    with import_extra("pyarrow.parquet", "corpus").ParquetFile(path) as parquet:
        column = image_column(parquet.schema_arrow, path)
        for group in range(parquet.num_row_groups):
            cells = parquet.read_row_group(group, [column]).column(column).to_pylist()
            yield from (cell["bytes"] for cell in cells if cell is not None)


def image_column(schema: Any, source: Path) -> str:
    """The name of the column of images, by what Hugging Face says of it or else by its type.

    Args:
        schema: pyarrow's.
        source: what errors call it.

    Raises:
        ValueError: there is none, or more than one.
    """
    about = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = about.get("info", {}).get("features", {})
    names: list[str] = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    if not features:
        names = [
            field.name
            for field in schema
            if str(field.type) == "struct<bytes: binary, path: string>"
        ]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise ValueError(f"{source}: one column of images is wanted, found {found}")
    return names[0]


def _entries(cells: list[dict[str, Any] | None], prefix: str, start: int) -> Iterator[Entry]:
    for number, cell in enumerate(cells, start):
        key = f"{prefix}{number}"
        # Without bytes it names a file elsewhere: nothing to read, which its row then says.
        yield Entry(key, (cell or {}).get("bytes") or b"", cell is not None, cell)


def _cell(entry: Entry, row: Row) -> dict[str, Any]:
    path = entry.rest.get("path")
    named = path and PurePosixPath(path).with_suffix(".jpg").as_posix()
    return {**entry.rest, "bytes": row.data, "path": named}
