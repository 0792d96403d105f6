"""Workers of a process that is killed."""

import os
import signal
import subprocess
import sys

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
