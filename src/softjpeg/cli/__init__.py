"""The command line; torch is imported by the commands that need it, not by ``--help``."""

from softjpeg.cli import files, networks, training
from softjpeg.cli.app import app

__all__ = ["app", "files", "networks", "training"]
