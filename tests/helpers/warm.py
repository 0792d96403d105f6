"""Programs in copies of one process that has PyTorch loaded, which takes most of a program's time.

As fresh as ``python WORDS`` in all but that: softjpeg is loaded anew, environment, folder, signals
and the end are their own. What is asserted about loading itself needs a fresh interpreter.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


@functools.cache
def _server() -> socket.socket:
    """Where a program is asked for; the server ends with this process."""
    ours, theirs = socket.socketpair()
    with theirs:
        handle = theirs.fileno()
        program = Path(__file__).with_name("warm_server.py")
        # Nobody waits for it: it is kept from saying so when it is forgotten.
        process = subprocess.Popen([sys.executable, program, str(handle)], pass_fds=[handle])
        process.returncode = 0
    atexit.register(ours.close)
    return ours


class Started:
    """A program that runs, in the manner of `subprocess.Popen`.

    Args:
        words: after ``python``: ``-m NAME``, ``-c CODE`` or a file, then arguments.
        folder: to run in; this process's by default.
        env: all of its environment; this process's by default.
    """

    def __init__(
        self, *words: object, folder: object = None, env: Mapping[str, str] | None = None
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory()
        self.stdout, self.stderr = (Path(self._scratch.name) / name for name in ("out", "err"))
        self.stdout.touch()
        self.stderr.touch()
        told = {
            "words": [str(word) for word in words],
            "folder": str(folder or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "said": [str(self.stdout), str(self.stderr)],
        }
        self._answers, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(_server(), [b"x"], [theirs.fileno()])
            self._answers.sendall(json.dumps(told).encode() + b"\n")
        self.returncode: int | None = None
        self.pid = self._answer(None)

    def _answer(self, seconds: float | None) -> int:
        self._answers.settimeout(seconds)
        line = b""
        while not line.endswith(b"\n"):
            byte = self._answers.recv(1)
            assert byte, "the process that copies itself has ended"
            line += byte
        return int(line)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, negative for a signal; `TimeoutError` after so many seconds."""
        if self.returncode is None:
            self.returncode = self._answer(timeout)
        return self.returncode

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        try:
            return self.wait(0)
        except BlockingIOError:
            return None

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it and its copies said, on standard output and error, once all have ended."""
        self.wait(timeout)
        self._answers.settimeout(timeout)
        while self._answers.recv(1):
            pass
        return self.stdout.read_text(), self.stderr.read_text()

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self.wait()
        self._answers.close()
        self._scratch.cleanup()


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A program run to its end; options as for `Started`."""
    with Started(*words, **options) as process:
        out, err = process.communicate()
        return subprocess.CompletedProcess(list(words), process.wait(), out, err)
