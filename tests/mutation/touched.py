"""Which files of tests call which functions of a room: only these can notice what breaks there."""

from __future__ import annotations

import ast
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ANY = ""
"""Stands for every file of tests: what is called while modules are imported."""
_PROCESSES = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"}


class Touched:
    """A plugin of pytest that notes the functions that each file of tests calls.

    Args:
        room: the folder whose functions count.
    """

    def __init__(self, room: Path) -> None:
        self.calls: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.with_processes: set[str] = set()
        self.seconds: dict[str, float] = defaultdict(float)
        self._room, self._file = str(room), ANY

    def pytest_sessionstart(self) -> None:
        """Begin, before any module is imported."""
        sys.addaudithook(self._audit)
        threading.settrace(self._call)
        sys.settrace(self._call)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        """One test: what is called now is called by its file."""
        self._file, began = str(item.path), time.monotonic()
        result = yield
        self.seconds[self._file] += time.monotonic() - began
        self._file = ANY
        return result

    def files(self, path: Path, line: int) -> list[str]:
        """Files of tests that may notice a break of a line, likely ones first.

        Those that call its function, then those that start processes, of which nothing is known;
        all where it is no part of a function, or of one that is called while modules are imported.
        """
        near = {
            file
            for (source, _), files in self.calls.items()
            if source == str(path)
            for file in files
        }
        able = self.calls.get((str(path), _function_at(path, line)), {ANY}) | self.with_processes
        if ANY in able:
            able = set(self.seconds)
        return sorted(
            able,
            key=lambda file: (
                Path(file).stem != f"test_{path.stem}",
                file not in near,
                self.seconds[file],
            ),
        )

    def _call(self, frame: Any, event: str, argument: Any) -> None:
        code = frame.f_code
        if code.co_filename.startswith(self._room):
            self.calls[code.co_filename, code.co_firstlineno].add(self._file)

    def _audit(self, event: str, arguments: Any) -> None:
        if event in _PROCESSES and self._file != ANY:
            self.with_processes.add(self._file)


def _function_at(path: Path, line: int) -> int:
    """The first line of the innermost function whose body holds a line; 0 outside of all."""
    if path.suffix != ".py":
        return 0
    return max(
        (
            min(part.lineno for part in (node, *node.decorator_list))
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= node.end_lineno
        ),
        default=0,
    )
