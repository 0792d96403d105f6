"""A process with PyTorch loaded, which becomes a program in a copy of itself for each asked for.

Run by `helpers.warm` as a program; its argument is the number of an open socket.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from typing import Any

LOADED = ("numpy", "PIL.Image", "torch._dynamo", "torchvision.transforms.v2", "typer.main")
"""What takes most of a program's time to load; never softjpeg itself."""


def next_program(asked: socket.socket) -> dict[str, Any]:
    """What to run, in a copy of this process, which returns from here once for each program."""
    # Copies are nobody's children, so that none is left to be asked how it ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, handles, *_ = socket.recv_fds(asked, 1, 1)
        if not message:
            # Whoever would ask has ended.
            os._exit(0)
        if os.fork() == 0:
            asked.close()
            asker = socket.socket(fileno=handles[0])
            told: dict[str, Any] = json.loads(asker.makefile("rb").readline())
            if _is_copy(asker):
                # Open while the program and its own copies are: their end is the asker's end.
                asker.detach()
                return told
        os.close(handles[0])


def _is_copy(asker: socket.socket) -> bool:
    """Fork once more: true in the program to be, while the other half tells how that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    process = os.fork()
    if process == 0:
        return True
    asker.sendall(b"%d\n" % process)
    status = os.waitpid(process, 0)[1]
    asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(words: list[str], folder: str, environment: dict[str, str], said: list[str]) -> None:
    """Run ``python WORDS``: ``-m NAME``, ``-c CODE`` or a file, with arguments.

    Args:
        words: after ``python``.
        folder: to run in.
        environment: all of it.
        said: files for standard output and standard error.
    """
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for handle, path in enumerate(said, 1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, handle)
        os.close(opened)
    if threads := environment.get("OMP_NUM_THREADS"):
        # OpenMP read it when this process began.
        sys.modules["torch"].set_num_threads(int(threads))
    kind, *rest = words
    if kind == "-m":
        sys.path[0], sys.argv = folder, rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.path[0], sys.argv = "", ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[0], sys.argv = os.path.dirname(os.path.abspath(kind)), words
        runpy.run_path(kind, run_name="__main__")


def main() -> None:
    """Load, serve, and end as the program that this process became."""
    for name in LOADED:
        importlib.import_module(name)
    # Whatever a copy touches is copied: its garbage collector leaves alone what is here.
    gc.freeze()
    status: object = 0
    told = next_program(socket.socket(fileno=int(sys.argv[1])))
    try:
        become(**told)
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    # All of Python's end but to free its memory, which takes a second.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    main()
