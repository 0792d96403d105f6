"""The command line; torch is imported by the commands that need it, not by ``--help``."""

# In the order of --help.
from softjpeg.cli import files, learn, encode, evaluate, networks, training  # noqa: I001
from softjpeg.cli.app import app

__all__ = ["app", "encode", "evaluate", "files", "learn", "networks", "training"]
