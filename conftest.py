"""How this machine runs the tests: what it leaves out, and threads beside other workers."""

import importlib.util
import os
import random
import signal

import pytest

# Doctests import every module: Triton is on Linux alone, and C kernels need a compiler.
collect_ignore_glob = [
    pattern
    for needed, pattern in (
        ("triton", "src/*/kernels/triton/*"),
        ("softjpeg.kernels._layer", "src/*/kernels/[co]*"),
    )
    if not importlib.util.find_spec(needed)
]

# Tests run in parallel; threads that wait for each other's cores would slow them down. OpenMP reads
# this when it is loaded: nothing above may import torch.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads)))

# A job in the background is started deaf to an interrupt, and so would be what it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _same_draws_in_every_run():
    """For what a test draws without a generator of its own."""
    import numpy as np
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
