"""Images for `softjpeg encode` in a folder or a tar file, and what its manifest says of them."""

import io
import json
import tarfile
from pathlib import Path

import pytest


def write_tar(file, files, compression=""):
    """A tar file, at a path or into an open file, of (name, bytes) in their order."""
    place = {"name": file} if isinstance(file, str | Path) else {"fileobj": file}
    with tarfile.open(**place, mode=f"w:{compression}") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_source(folder, files, tar):
    """A new folder of files by name, or of one tar file of them, `0.tar`."""
    folder.mkdir()
    if tar:
        pytest.importorskip("pebble")
        write_tar(folder / "0.tar", files.items())
    else:
        for name, data in files.items():
            (folder / name).write_bytes(data)


def rows_of(out, tar):
    """By name, the rows of what `write_source` wrote in the manifest of an output."""
    manifest = out / ("0.tar.manifest.jsonl" if tar else "manifest.jsonl")
    lines = map(json.loads, manifest.read_text().splitlines())
    return {line["key"].removeprefix("0.tar/"): line for line in lines if "key" in line}
