"""`Manifest`: where every file of a folder comes from, and what need not be done again.

A text file of one JSON object a line. A line with "settings" describes a run; a line with "key" is
one image's, in the keys' order, and names the run it was made in:

    {"run": "0f6c…", "settings": {"mode": "hard", …}, "versions": {"softjpeg": "0.1.0", …}}
    {"key": "a.png", "status": "written", "source_sha256": "…", "bytes": 812, …, "run": "0f6c…"}

A line with "left_out" names what the last run did not read of the folder, and why.

While a run goes on, its lines are appended to a second file, which is a beginning of the new
manifest; a run that is killed leaves it, and the next one puts both together. So never more than a
line is in memory, and where nothing has changed, nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from softjpeg.common.files import atomic_file
from softjpeg.corpus.digests import sha256, versions
from softjpeg.corpus.records import Record, parse_line

NAME, PART = "manifest.jsonl", ".softjpeg-manifest.part"

_FLUSHED = 64
"""Lines after which the disk has them."""


@dataclass(frozen=True)
class Line:
    """An image's line.

    Attributes:
        body: what it says.
        data: the line itself.
    """

    body: Record
    data: bytes


class Manifest:
    """The manifest of one folder of files, its subfolders aside.

    Args:
        folder: it is made when there is a line; the manifest is its ``manifest.jsonl``.
        settings: all that decides the files' bytes besides the images; anything JSON can hold.

    Raises:
        ValueError: a file of that name which is no manifest. A last line cut off is left out.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     manifest = Manifest(Path(folder), {"quality": 50})
    ...     manifest.add({"key": "a.png", "status": "written"})
    ...     manifest.publish()
    ...     (line,) = Manifest(Path(folder), {"quality": 60}).lines()
    ...     line.body["key"], manifest.is_of_this_run(line)
    ('a.png', True)
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.path, self._part = folder / NAME, folder / PART
        # As JSON gives them back: tuples are lists there.
        self._settings = json.loads(json.dumps(settings, sort_keys=True, allow_nan=False))
        run = {"settings": self._settings, "versions": versions()}
        self.run = sha256(_line(run))[:16]
        self._runs: dict[str, Record] = {self.run: {"run": self.run, **run}}
        self._file: IO[bytes] | None = None
        self._kept = self._added = 0
        self._used: set[str] = set()
        self._left_out: list[bytes] = []
        self.put_together()

    def lines(self) -> Iterator[Line]:
        """The images' lines of earlier runs, in the keys' order."""
        self._left_out = []
        yield from self._lines_of(self.path)

    def is_of_this_run(self, line: Line) -> bool:
        """Whether it was made with these settings; the versions may have been others."""
        return bool(self._runs[line.body["run"]]["settings"] == self._settings)

    def keep(self, line: Line) -> None:
        """Let a line of an earlier run stay, in its order."""
        self._used.add(line.body["run"])
        self._kept += 1
        if self._file is not None:
            self._write(line.data)

    def drop(self) -> None:
        """A line of an earlier run does not stay."""
        self._open()

    def add(self, body: Mapping[str, Any]) -> None:
        """Append a line of this run."""
        self._open()
        self._used.add(self.run)
        self._write(_line({**body, "run": self.run}))

    def publish(self, left_out: Mapping[str, Iterable[Path]] | None = None) -> None:
        """Write it anew, unless it says all this already.

        Args:
            left_out: by the reason, what is not read of the images' folder; None for as it was.
        """
        ends = self._left_out
        if left_out is not None:
            names = {str(path): reason for reason, paths in left_out.items() for path in paths}
            ends = [_line({"left_out": name, "reason": names[name]}) for name in sorted(names)]
        if self._file is None and ends == self._left_out:
            return
        self._open()
        self._close()
        # Reading the part, which names none of them, must not forget them.
        self._write_whole((line.data for line in self._lines_of(self._part)), ends)

    def put_together(self) -> None:
        """The manifest of what a stopped run has appended, and of what was there after that."""
        self._close()
        if self._part.exists():
            self._used = set()
            last = ""
            for line in self._lines_of(self._part):
                self._used.add(line.body["run"])
                last = line.body["key"]
            self._left_out = []
            for line in self._lines_of(self.path):
                if line.body["key"] > last:
                    self._used.add(line.body["run"])
            self._write_whole(self._both(last), self._left_out)

    def _both(self, last: str) -> Iterator[bytes]:
        yield from (line.data for line in self._lines_of(self._part))
        yield from (line.data for line in self._lines_of(self.path) if line.body["key"] > last)

    def _open(self) -> None:
        """From now on lines are appended; those kept so far come first."""
        if self._file is not None:
            return
        self._part.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("wb")
        for run in self._runs.values():
            self._file.write(_line(run))
        if self._kept:
            lines = self._lines_of(self.path)
            for _ in range(self._kept):
                self._file.write(next(lines).data)

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._file.flush()
        self._added += 1
        if self._added % _FLUSHED == 0:
            os.fsync(self._file.fileno())

    def _close(self) -> None:
        if self._file is not None:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
            self._file = None

    def _write_whole(self, lines: Iterable[bytes], ends: Iterable[bytes]) -> None:
        with atomic_file(self.path) as file:
            for run in sorted(self._used):
                file.write(_line(self._runs[run]))
            file.writelines(lines)
            file.writelines(ends)
        self._part.unlink(missing_ok=True)

    def _lines_of(self, path: Path) -> Iterator[Line]:
        """The images' lines; runs and what was left out are noted."""
        left_out: list[bytes] = []
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for number, data in enumerate(file, 1):
                if not data.endswith(b"\n"):
                    break  # A killed run may leave the last line without its end.
                try:
                    body = parse_line(data)
                    if "left_out" in body:
                        left_out.append(data)
                    elif not isinstance(run := body.get("run"), str):
                        raise ValueError
                    elif "settings" in body:
                        # Named by a digest: another of that name is the same.
                        self._runs.setdefault(run, body)
                    elif run not in self._runs or not _names_an_image(body):
                        raise ValueError
                    else:
                        yield Line(body, data)
                except ValueError:
                    if path == self._part:
                        break  # As if the run had been killed there.
                    raise ValueError(f"{path}, line {number}: this is no manifest's") from None
        self._left_out = left_out


def _names_an_image(body: Record) -> bool:
    return isinstance(body.get("key"), str) and isinstance(body.get("status"), str)


def _line(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, allow_nan=False).encode() + b"\n"
