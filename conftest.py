"""What the tests of this machine leave out."""

import importlib.util

# Doctests import every module, and Triton is on Linux alone.
collect_ignore_glob = [] if importlib.util.find_spec("triton") else ["src/*/kernels/triton_*"]
