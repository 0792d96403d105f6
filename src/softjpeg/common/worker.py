"""A process that another one started to share its work: how it begins, and when it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.process import BaseProcess


def start_worker() -> None:
    """Leave stopping to the process that started this one, and the other cores to its others.

    However that process ends, this one ends at once: nobody would want what it is doing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_thread()
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def one_thread() -> None:
    """Let PyTorch use no other core, whether it is loaded by now, or will be."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
