"""The command line: one file per command, no decisions of its own.

Torch is imported by the commands that need it, not by ``--help``.
"""

# isort: off
from softjpeg.cli.app import app

# A command is a file of its name; --help shows them in this order.
from softjpeg.cli import demo, inspect, learn, adapt, encode, manifest, evaluate  # noqa: F401
from softjpeg.cli import plot, attack, qualities, export, train, serve, web_app  # noqa: F401

__all__ = ["app"]
