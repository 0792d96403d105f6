"""Which tests name a module: quickly found, and most of those that can notice what breaks there."""

from __future__ import annotations

import re
from pathlib import Path

_MOST = 8
"""Files that a break is shown to."""
_SECONDS = 280.0
"""More than such files take, on a busy machine too."""
_PROCESSES = re.compile(r"subprocess|chromium")


class Named:
    """As `Touched`, without a run of the unbroken tests.

    Args:
        tests: files of a room.
    """

    def __init__(self, tests: list[Path]) -> None:
        texts = {test: test.read_text() for test in tests}
        self._texts = {test: text for test, text in texts.items() if not _PROCESSES.search(text)}

    def plan(self, path: Path, line: int) -> tuple[list[str], list[str]]:
        """What to try a break of a module on: its doctests, tests of its name, that name it."""
        own = {f"test_{path.stem}", f"test_{path.parent.name}"}
        word = re.compile(rf"\b{path.stem}\b")
        counts = {test: len(word.findall(text)) for test, text in self._texts.items()}
        named = [test for test, count in counts.items() if count or test.stem in own]
        named.sort(key=lambda test: (test.stem not in own, -counts[test], len(self._texts[test])))
        doctests = [path] if path.suffix == ".py" else []
        return [], [str(file) for file in (*doctests, *named[:_MOST])]

    def lasted(self, files: list[str]) -> float:
        """Seconds that some files take at most."""
        return _SECONDS
