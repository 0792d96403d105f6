"""Tests in processes that begin where the heavy imports are done."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import pickle
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mutation.touched import Ordered, Touched

PASSED, FAILED, LATE = "survived", "killed", "too late"
_HEAVY = (
    *("torch", "torchvision", "timm", "scipy.stats", "matplotlib.figure", "jinja2"),
    # Plugins of pytest, which it would rewrite each time.
    *("hypothesis", "schemathesis", "schemathesis.pytest.plugin", "anyio.pytest_plugin"),
)
_fork = multiprocessing.get_context("fork")


def preload() -> None:
    """Import what nearly all tests do, once for all of them."""
    for name in _HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def outcome(copy: Path, tests: list[str], limit: float, plugin: Touched | Ordered) -> str:
    """Whether some tests pass, and in how many seconds at most.

    Args:
        copy: the tree.
        tests: files and folders.
        limit: in seconds.
        plugin: puts tests in order, or notes what they run, which is written to `copy / "notes"`.
    """
    process = _fork.Process(target=_run, args=(copy, tests, plugin))
    process.start()
    process.join(limit)
    late = process.is_alive()
    with suppress(ProcessLookupError):
        # With all that the tests have started.
        os.killpg(process.pid, 9)
    process.join()
    return LATE if late else FAILED if process.exitcode else PASSED


def touched(copy: Path, tests: list[str], package: Path, limit: float) -> Touched:
    """What tests run of a package.

    Raises:
        RuntimeError: they fail, or are not through in time; which of these, it says.
    """
    found = outcome(copy, tests, limit, Touched(package))
    if found != PASSED:
        late = f"take more than the --limit of {limit:g} seconds"
        raise RuntimeError(late if found == LATE else "do not pass")
    return pickle.loads((copy / "notes").read_bytes())


def _run(copy: Path, tests: list[str], plugin: Touched | Ordered) -> None:
    os.setsid()
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "src")
    # The root, as `python -m pytest` has it: processes that are spawned look for `tests` there.
    sys.path[:0] = [str(copy / "src"), str(copy)]
    if isinstance(plugin, Ordered):
        # The bytecode of unbroken files is kept; of broken ones, a break of the same length and
        # second would go unseen.
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
    with (copy / "log").open("w") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    # A package that brings a plugin was imported before pytest looked.
    early = "ignore::pytest.PytestAssertRewriteWarning"
    options = ["-x", "-n", "0", "-p", "no:cacheprovider", "-W", early]
    if isinstance(plugin, Touched):
        # Two threads that coverage follows from the same moment on get in each other's way.
        options += ["-W", "ignore::pytest.PytestUnraisableExceptionWarning"]
    code = pytest.main([*options, *tests], plugins=[plugin])
    if isinstance(plugin, Touched):
        (copy / "notes").write_bytes(pickle.dumps(plugin))
    os._exit(code)
