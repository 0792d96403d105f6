"""Tar files in webdataset's manner: images encoded, all other members as they are."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from softjpeg.common.image_files import SUFFIXES
from softjpeg.corpus.engine import Engine, Entry
from softjpeg.corpus.samples import Row, failed_row

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")


def encode_tar(source: Path, file: IO[bytes], engine: Engine, prefix: str = "") -> Iterator[Row]:
    """Write a tar file anew with its images encoded; the rows come while it is written.

    A member is an image where all that follows its name's first dot is an image's suffix: `a.png`
    becomes `a.jpg`, but `a.mask.png` stays as it is. Where an image fails, its sample (members of
    one name up to the first dot, one after the other) is left out.

    Args:
        source: the tar file, which may be compressed.
        file: to write to; compressed as the source's name says.
        engine: that encodes.
        prefix: of the rows' keys.

    Raises:
        ValueError: the source is no tar file, or damaged.
    """
    try:
        with tarfile.open(source) as archive:
            if source.name.endswith(".tar"):
                yield from _encode(archive, file, engine, prefix)
                # Without its end it may have been cut off between two members.
                if archive.offset + tarfile.BLOCKSIZE > source.stat().st_size:  # type: ignore[attr-defined]
                    raise tarfile.ReadError("its end is missing")
            else:
                # The header names neither a file nor a time: the same bytes in every run.
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield from _encode(archive, packed, engine, prefix)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{source} cannot be read as a tar file: {error}") from error


def sample_key(name: str) -> tuple[str, str]:
    """A member's sample and what it is of it: webdataset's rule.

    >>> sample_key("cats/0.mask.png")
    ('cats/0', 'mask.png')
    """
    path = PurePosixPath(name)
    stem, _, kind = path.name.partition(".")
    return path.with_name(stem).as_posix() if stem else name, kind


def tar_images(path: Path) -> Generator[bytes, None, None]:
    """What is in the images of a tar file, in order."""
    with tarfile.open(path) as archive:
        yield from (entry.data for entry in _entries(archive, "") if entry.image)


def _encode(archive: tarfile.TarFile, file: object, engine: Engine, prefix: str) -> Iterator[Row]:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as out:  # type: ignore[call-overload]
        done = engine(_entries(archive, prefix))
        for _, sample in itertools.groupby(done, lambda pair: sample_key(pair[0].rest.name)[0]):
            members = _of_different_names(list(sample))
            yield from (row for _, row in members if row is not None)
            if not any(row is not None and row.data is None for _, row in members):
                for entry, row in members:
                    _add(out, entry, row)


def _entries(archive: tarfile.TarFile, prefix: str) -> Iterator[Entry]:
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        data = content.read() if content else b""
        if len(data) < member.size and member.isreg():
            raise tarfile.ReadError(f"unexpected end of data in {member.name}")
        image = member.isreg() and f".{sample_key(member.name)[1].lower()}" in SUFFIXES
        yield Entry(f"{prefix}{member.name}", data, image, member)
        # The archive would remember all of them.
        archive.members = []  # type: ignore[attr-defined]


def _written_name(entry: Entry, row: Row | None) -> str:
    name: str = entry.rest.name
    return name if row is None else PurePosixPath(name).with_suffix(".jpg").as_posix()


def _of_different_names(members: list[tuple[Entry, Row | None]]) -> list[tuple[Entry, Row | None]]:
    """The members; with the images failed where two of the sample would have one name."""
    names = [_written_name(*member) for member in members]
    if len(set(names)) == len(names):
        return members
    words = "another member of its sample would have the same name"
    return [
        (entry, row and failed_row(entry.key, entry.data, "other", f"{entry.key}: {words}"))
        for entry, row in members
    ]


def _add(out: tarfile.TarFile, entry: Entry, row: Row | None) -> None:
    member = entry.rest
    data = entry.data if row is None or row.data is None else row.data
    if row is not None:
        member = member.replace(name=_written_name(entry, row), deep=False)
        # A pax header of the source would overrule them.
        member.pax_headers = {
            k: v for k, v in member.pax_headers.items() if k not in ("path", "size")
        }
        member.size = len(data)
    out.addfile(member, io.BytesIO(data) if member.isreg() else None)
