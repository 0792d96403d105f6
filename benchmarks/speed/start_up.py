"""What starting costs: fresh processes in turns."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.speed.subject import Options, Result, goal
from benchmarks.speed.timing import Times, quartiles, rows

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "softjpeg --help": ["-m", "softjpeg", "--help"],
    "softjpeg learn --help": ["-m", "softjpeg", "learn", "--help"],
}
TORCH, OURS = "import torch", "import softjpeg"
LINES = (
    *(TORCH, OURS, "from softjpeg import JPEGLayer", "JPEGLayer()(torch.rand(1, 3, 8, 8))"),
    *("from softjpeg import encode", "from softjpeg import learn"),
)
STAMPED = """if True:
    import json, sys, time
    stamps = []
    for line in sys.argv[1:]:
        stamps.append((time.perf_counter(), time.process_time()))
        exec(line)
    print(json.dumps([*stamps, (time.perf_counter(), time.process_time())]))
"""


def run(options: Options) -> Result:
    """Measure."""
    times: Times = {name: [] for name in (*PROGRAMS, *LINES)}
    # The first round warms caches up.
    with tempfile.TemporaryDirectory() as cache:
        for kept in [False] * (not options.quick) + [True] * (2 if options.quick else 7):
            found = {name: _process(words, cache)[0] for name, words in PROGRAMS.items()}
            stamps = json.loads(_process(["-c", STAMPED, *LINES], cache)[1])
            for name, before, after in zip(LINES, stamps, stamps[1:], strict=False):
                found[name] = (after[0] - before[0], after[1] - before[1])
            for name in times if kept else ():
                times[name].append(found[name])
    added, shown = (quartiles([s for s, _ in times[name]]) for name in (OURS, "softjpeg --help"))
    tables = [
        {
            "title": title,
            "reference": names[0],
            "rows": rows({n: times[n] for n in names}, names[0]),
        }
        for title, names in (
            ("Programs", list(PROGRAMS)),
            ("One line after the other in one process", LINES),
        )
    ]
    return {
        "setting": "Files and bytecode cached; each round starts every process once",
        "tables": tables,
        "goals": [
            goal(6, "seconds that import softjpeg adds to import torch", "<=", 0.15, added),
            goal(6, "seconds of softjpeg --help", "<=", 0.3, shown),
        ],
    }


def _process(words: list[str], cache: str) -> tuple[tuple[float, float], str]:
    """(wall, CPU) seconds of a Python, and what it printed."""
    before, began = _children(), time.perf_counter()
    # As after any install: what is imported a second time is not compiled again.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=True, env=environment
    )
    return (time.perf_counter() - began, _children() - before), done.stdout


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
