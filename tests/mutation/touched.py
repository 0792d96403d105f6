"""Which tests run which lines: these can notice what breaks there."""

from __future__ import annotations

import ast
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import coverage
import pytest

_PROCESSES = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec"}


class Touched:
    """A plugin of pytest that notes the lines that each test runs.

    Args:
        package: the folder whose lines count.
    """

    def __init__(self, package: Path | None = None) -> None:
        self.tests: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.with_processes: set[str] = set()
        self.seconds: dict[str, float] = defaultdict(float)
        self._package, self._test = package, ""

    @classmethod
    def of_all(cls, parts: Iterable[Touched]) -> Touched:
        """What several rooms' tests run."""
        whole = cls()
        for part in parts:
            for line, tests in part.tests.items():
                whole.tests[line] |= tests
            whole.with_processes |= part.with_processes
            whole.seconds.update(part.seconds)
        return whole

    def pytest_sessionstart(self) -> None:
        """Begin, before any module is imported."""
        sys.addaudithook(self._audit)
        # Python's own way to start processes tells no hook.
        start = BaseProcess.start

        def noted(process: BaseProcess) -> None:
            self._note_process()
            start(process)

        BaseProcess.start = noted  # type: ignore[method-assign]
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[f"{self._package}/*"], messages=False
        )
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        """One test: the lines that run now are run by it."""
        self._test, began = item.nodeid, time.monotonic()
        self._coverage.switch_context(item.nodeid)
        result = yield
        self._coverage.switch_context("")
        self.seconds[item.nodeid] += time.monotonic() - began
        self._test = ""
        return result

    def pytest_sessionfinish(self) -> None:
        """All lines with their tests."""
        self._coverage.stop()
        data = self._coverage.get_data()
        for path in data.measured_files():
            for line, tests in data.contexts_by_lineno(path).items():
                self.tests[path, line] |= set(tests) - {""}

    def plan(self, path: Path, line: int) -> tuple[list[str], list[str]]:
        """What to try a break of a line on.

        Returns:
            The tests that run its statement, quick ones first; and the files whose tests may notice
            it in all: those that run its function, and those that start processes, of which nothing
            is known; every file where it is no part of a function.
        """
        statement, function = _around(path, line)
        likely = {test for each in statement for test in self.tests.get((str(path), each), ())}
        able = {test for each in function for test in self.tests.get((str(path), each), ())}
        files = {_file(test) for test in able | self.with_processes}
        if not function:
            files = {_file(test) for test in self.seconds}
        order = sorted(likely, key=self.seconds.__getitem__)
        names = {f"test_{part}" for part in (path.stem, *path.parts)}
        own = {file: Path(file).stem not in names for file in files}
        return order, sorted(files, key=lambda file: (own[file], file))

    def lasted(self, files: list[str]) -> float:
        """Seconds of some files, unbroken."""
        return sum(each for test, each in self.seconds.items() if _file(test) in files)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_coverage"}

    def _audit(self, event: str, arguments: Any) -> None:
        if event in _PROCESSES:
            self._note_process()

    def _note_process(self) -> None:
        if self._test:
            self.with_processes.add(self._test)


class Ordered:
    """A plugin of pytest that runs some tests before all others.

    Args:
        first: their names.
    """

    def __init__(self, first: list[str]) -> None:
        self._places = {name: place for place, name in enumerate(first)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort; the rest stays as it is."""
        items.sort(key=lambda item: self._places.get(item.nodeid, len(self._places)))


def _file(test: str) -> str:
    return test.split("::")[0]


def _around(path: Path, line: int) -> tuple[range, range]:
    """Lines of the innermost statement, without its block, and of the function around a line."""
    statement = function = range(0)
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno:
                body = getattr(node, "body", None)
                if isinstance(node, ast.FunctionDef) and body[0].lineno <= line:
                    function = range(body[0].lineno, node.end_lineno + 1)
                elif not body or line < body[0].lineno:
                    end = body[0].lineno if body else node.end_lineno + 1
                    statement = range(node.lineno, end)
    return statement, function
