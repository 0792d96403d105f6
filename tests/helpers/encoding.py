"""What `softjpeg encode` gives to what encodes, where nothing is said and where all is."""

import os
from pathlib import Path

from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.watch import MostFailures, Watching

BOOKS = {
    "retry": "",
    "verify": False,
    "watching": Watching(True, None, None, MostFailures()),
    "jobs": os.cpu_count(),
}
DRIVER = {**BOOKS, "seed": 0, "rules": SourceRules(), "mode": "hard", "list_files": False}
KEPT = {
    ("--seed", "5"): {"seed": 5},
    ("--mode", "rdo"): {"mode": "rdo"},
    ("--jobs", "3"): {"jobs": 3},
    ("--retry", "decode", "--verify"): {"retry": "decode", "verify": True},
    ("--max-failures", "2%", "--metrics", "m.txt"): {
        "watching": Watching(True, None, Path("m.txt"), MostFailures(percent=2.0))
    },
    (
        *("--follow-links", "--name-collision", "suffix", "--background", "1,2,3"),
        *("--truncated", "keep"),
    ): {"rules": SourceRules(True, "suffix", (1, 2, 3), "keep")},
    ("--header", "compact"): {"header": "compact"},
    ("--progressive",): {"progressive": True},
    ("--no-metadata",): {"metadata": False},
}
"""What an option changes of what encodes a folder, with networks and without."""
