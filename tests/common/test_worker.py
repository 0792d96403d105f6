"""Workers of a process that is killed."""

import os
import signal
import subprocess
import sys

import pytest

BEGIN = """
import multiprocessing, os, sys, time
from softjpeg.common.worker import start_worker
worker = multiprocessing.get_context("spawn").Pool(1, start_worker)
print(worker.apply(os.getpid), flush=True)
worker.apply(time.sleep, (600,))
"""


def test_a_worker_ends_with_the_process_that_started_it():
    # The worker, too, writes to this pipe: it is closed once both have ended.
    with subprocess.Popen([sys.executable, "-c", BEGIN], stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.kill()
        assert parent.communicate(timeout=120) == (b"", None)
    assert parent.returncode == -signal.SIGKILL


@pytest.mark.parametrize("order", ["import torch; one_thread()", "one_thread(); import torch"])
def test_torch_has_one_thread_whenever_it_is_loaded(order):
    program = (
        f"from softjpeg.common.worker import one_thread; {order}; print(torch.get_num_threads())"
    )
    given = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"1"]
