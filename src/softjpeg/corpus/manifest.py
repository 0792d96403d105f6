"""`Manifest`: where every file of a folder comes from, and what a killed run need not do again.

A text file of one JSON object a line. A line with "settings" describes a run; a line with "file" is
one image's and names the run it was made in:

    {"run": "0f6c…", "settings": {"mode": "hard", …}, "versions": {"softjpeg": "0.1.0", …}}
    {"file": "a.jpg", "source": "a.png", "source_sha256": "…", "run": "0f6c…", "bytes": 812, …}

A line with "left_out" names what the last run did not read of the folder, and why. Lines are
appended while a run goes on; opening it sorts them, so that a run that was killed and
resumed leaves the same manifest as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from softjpeg.common.files import write_atomically

NAME = "manifest.jsonl"
Record = dict[str, Any]


class Manifest:
    """The manifest of a folder of files.

    Args:
        folder: it is made where it is missing; the manifest is its ``manifest.jsonl``.
        settings: all that decides the files' bytes besides the images; anything JSON can hold.
        left_out: by the reason, what is not read of the images' folder.

    Raises:
        ValueError: a file of that name which is no manifest. A last line cut off is left out.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     manifest = Manifest(Path(folder), {"quality": 50})
    ...     _ = Path(folder, "a.jpg").write_bytes(b"abc")
    ...     record = {"file": "a.jpg", "source_sha256": "0", "sha256": sha256(b"abc")}
    ...     manifest.append([record])
    ...     again = Manifest(Path(folder), {"quality": 50})
    ...     other = Manifest(Path(folder), {"quality": 60})
    ...     again.done("a.jpg", "0") is not None, again.done("a.jpg", "1"), other.done("a.jpg", "0")
    (True, None, None)
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        left_out: Mapping[str, Sequence[Path]] | None = None,
    ) -> None:
        self.folder, self.path = folder, folder / NAME
        self._left_out = {
            str(path): reason for reason, paths in (left_out or {}).items() for path in paths
        }
        self._runs: dict[str, Record] = {}
        self._records: dict[str, Record] = {}
        self._read()
        # As JSON gives them back: tuples are lists there.
        self._settings = json.loads(json.dumps(settings, sort_keys=True, allow_nan=False))
        run = {"settings": self._settings, "versions": versions()}
        self._run = sha256(_line(run).encode())[:16]
        self._runs[self._run] = {"run": self._run, **run}
        folder.mkdir(parents=True, exist_ok=True)
        self.rewrite()

    def done(self, file: str, source_sha256: str) -> Record | None:
        """A file's record, if the file is there, made with these settings from this source.

        The versions may have been others.
        """
        record = self._records.get(file)
        if record is None or record["source_sha256"] != source_sha256:
            return None
        if self._runs[record["run"]]["settings"] != self._settings:
            return None
        try:
            data = (self.folder / file).read_bytes()
        except OSError:
            return None
        return record if sha256(data) == record["sha256"] else None

    def append(self, records: Iterable[Record]) -> None:
        """Add what was written, through to the disk."""
        with self.path.open("ab") as file:
            for record in records:
                line = {**record, "run": self._run}
                self._records[record["file"]] = line
                file.write(_line(line).encode())
            file.flush()
            os.fsync(file.fileno())

    def rewrite(self) -> None:
        """Write it anew, sorted by file, without lines that later ones have replaced."""
        used = {record["run"] for record in self._records.values()} | {self._run}
        lines = [_line(self._runs[run]) for run in sorted(used)]
        lines += [_line(self._records[file]) for file in sorted(self._records)]
        lines += [_line({"left_out": k, "reason": v}) for k, v in sorted(self._left_out.items())]
        write_atomically(self.path, "".join(lines).encode())

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        # A killed run may leave the last line without its end.
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                body = json.loads(line)
                if "settings" in body:
                    self._runs[body["run"]] = body
                elif "left_out" not in body:
                    _ = body["source_sha256"], body["sha256"], self._runs[body["run"]]
                    self._records[body["file"]] = body
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{self.path}, line {number}: this is no manifest's") from None


def versions() -> dict[str, str]:
    """Of the packages that decide a file's bytes."""
    return {package: version(package) for package in ("softjpeg", "torch", "numpy", "Pillow")}


def sha256(data: bytes) -> str:
    """The digest in hexadecimal.

    >>> sha256(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def _line(body: Mapping[str, Any]) -> str:
    return json.dumps(body, allow_nan=False) + "\n"
