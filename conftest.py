"""How this machine runs the tests: what it leaves out, and threads beside other workers."""

import importlib.util
import os

# Doctests import every module, and Triton is on Linux alone.
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/*/kernels/triton/*"]

# Tests run in parallel; threads that wait for each other's cores would slow them down.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    threads = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads)))
