"""The command line: one file per command, no decisions of its own.

Torch is imported by the commands that need it, not by ``--help``.
"""

# In the order of --help.
from softjpeg.cli import inspect, learn, encode, evaluate, attack, train  # noqa: I001
from softjpeg.cli.app import app

__all__ = ["app", "attack", "encode", "evaluate", "inspect", "learn", "train"]
