"""A command in a copy of this process, which has loaded what takes most of a command's time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

SAID = "said"
"""What the last command wrote to standard error, in its folder."""


def run_forked(folder: Path, words: list[str], environment: Mapping[str, str]) -> int:
    """The exit status of `killed.py` with these words, once it and all that it started have ended.

    Args:
        folder: to run in.
        words: of the command.
        environment: all of it.
    """
    import torch  # noqa: F401

    import softjpeg.cli  # noqa: F401

    ours, theirs = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(ours)
        _become(folder, words, environment, theirs)
    os.close(theirs)
    with open(ours, "rb") as output:
        output.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _become(folder: Path, words: list[str], environment: Mapping[str, str], output: int) -> None:
    """Run a command in this process, and end it."""
    status = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os.dup2(output, 1)
        os.dup2(os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        # The pipe ends with what has it: this process and those that it starts.
        os.close(output)
        # Not those of the copied process, whose files may have been of another kind.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.argv = ["killed.py", *words]
        import killed

        killed.main()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)
