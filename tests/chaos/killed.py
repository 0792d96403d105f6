"""A command that is killed, or a worker of Ray's that it started, at a change of the disk.

    KILL_AT=7 python tests/chaos/killed.py encode photos --out small ...

At the seventh moment (0: at none); `KILL_WORKER=1` kills a worker in its place. The processes that
it had started until then are noted in the file that `STARTED_IN` names, and where nothing was
killed the number of moments in the one that `COUNT_IN` names.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def descendants(process: int) -> list[int]:
    """The processes that one has started, and those that they have."""
    try:
        files = [task / "children" for task in Path(f"/proc/{process}/task").iterdir()]
        children = [int(word) for file in files for word in file.read_text().split()]
    except OSError:
        return []  # It has ended meanwhile.
    return [*children, *(one for child in children for one in descendants(child))]


def is_alive(process: int) -> bool:
    """Whether it is there, and not only to be asked how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def survivors(processes: list[int], seconds: float) -> list[int]:
    """Those that have not ended within so many seconds."""
    end = time.monotonic() + seconds
    while (left := [one for one in processes if is_alive(one)]) and time.monotonic() < end:
        time.sleep(0.2)
    return left


def kill(at: int) -> None:
    """End this process or one of Ray's workers, having noted what it had started."""
    started, victim = descendants(os.getpid()), os.getpid()
    if "KILL_WORKER" in os.environ:
        names = {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in started if is_alive(one)}
        # Without its agents Ray's node ends, and the command with it.
        workers = sorted(
            one for one, name in names.items() if name.startswith(b"ray::") and b"Agent" not in name
        )
        if not workers:
            return
        victim = workers[at % len(workers)]
    Path(os.environ["STARTED_IN"]).write_text(" ".join(map(str, started)))
    os.kill(victim, signal.SIGKILL)


def main() -> None:
    """Count what changes the disk, before and after, and kill at the moment that is asked for."""
    at, passed = int(os.environ["KILL_AT"]), [0]

    def moment() -> None:
        passed[0] += 1
        if passed[0] == at:
            kill(at)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def change(*words: Any, **options: Any) -> Any:
            moment()
            result = call(*words, **options)
            moment()
            return result

        return change

    changes: list[tuple[Any, str]] = [(tempfile, "mkstemp")]
    changes += [(os, name) for name in ("fsync", "replace", "rename", "unlink", "ftruncate")]
    if "shards" in sys.argv:
        import tarfile

        import pyarrow.parquet

        changes += [(tarfile.TarFile, "addfile"), (pyarrow.parquet.ParquetWriter, "write_table")]
    for module, name in changes:
        setattr(module, name, counted(getattr(module, name)))

    from softjpeg.cli import app

    try:
        app(sys.argv[1:])
    finally:
        if "COUNT_IN" in os.environ:
            Path(os.environ["COUNT_IN"]).write_text(str(passed[0]))


if __name__ == "__main__":
    main()
