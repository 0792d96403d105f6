"""What calls on hostile files take, measured where a folder is named for it (on Linux):

    SOFTJPEG_FUZZ_LIMITS=/tmp/worst SOFTJPEG_FUZZ=20000 pytest -n 0 tests/fuzz

A call beyond the limits fails its test; the folder keeps the input of each function's slowest and
of its largest call, and `worst.txt` says how slow and large those were.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

LIMITS = {"seconds": 1.0, "MB": 50.0}
FOLDER = os.environ.get("SOFTJPEG_FUZZ_LIMITS")
WORST: dict[tuple[str, str], float] = {}
"""By function and unit."""

if FOLDER:
    # glibc is to give every array above 128 kB back, which else would hide what the next needs.
    ctypes.CDLL(None).mallopt(-3, 1 << 17)
    Path(FOLDER).mkdir(parents=True, exist_ok=True)


def within_limits(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns, having measured it where that was asked for."""
    if not FOLDER:
        return function(*arguments)
    # Again where it was beyond: a first call also loads what every later one has.
    for _ in range(3):
        result, error, took = _call(function, arguments)
        if all(took[unit] <= limit for unit, limit in LIMITS.items()):
            break
    name = _name(function)
    for unit, much in took.items():
        if much > WORST.get((name, unit), 0.0):
            WORST[name, unit] = much
            _keep(Path(FOLDER), f"{name}.{unit}", arguments[0])
        assert much <= LIMITS[unit], f"{name} takes {much:.3g} {unit}: {FOLDER}/{name}.{unit}"
    if error is not None:
        raise error
    return result


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, Any, dict]:
    """What it returns, what it raises, and what it takes of the processor and of memory."""
    result = error = None
    # From now on the peak is of what is resident.
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _peak(), time.process_time()
    try:
        result = function(*arguments)
    except ValueError as raised:
        error = raised
    return result, error, {"seconds": time.process_time() - start, "MB": _peak() - before}


def _peak() -> float:
    """Of this process's resident memory, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, partial):
        options = (f"{name}={value}" for name, value in function.keywords.items())
        return f"{function.func.__qualname__}({', '.join(options)})"
    return function.__qualname__


def _keep(folder: Path, name: str, value: Any) -> None:
    """Write an input, and the table of the worst."""
    if isinstance(value, Path):
        value = value.read_bytes()
    (folder / name).write_bytes(value if isinstance(value, bytes) else repr(value).encode())
    lines = [f"{much:9.4f} {unit:7} {name}" for (name, unit), much in sorted(WORST.items())]
    (folder / "worst.txt").write_text("\n".join(lines) + "\n")
