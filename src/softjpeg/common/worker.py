"""A process that another one started to share its work: how it begins, and when it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess

import torch


def start_worker() -> None:
    """Leave stopping to the process that started this one, and the other cores to its others.

    However that process ends, this one ends at once: nobody would want what it is doing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
