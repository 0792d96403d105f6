"""Which faults the tests would miss: breaks a copy of softjpeg, one place at a time.

cd tests && python -m mutation --rooms learning,presets --sample 20 --seed 0
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mutation.breaks import Break, c_breaks, python_breaks

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.parent.name for path in (ROOT / "src" / "softjpeg").glob("*/__init__.py"))
_COPIED = ("src", "tests", "benchmarks", "docs", "examples", "recipes", "*.toml", "*.py", "*.md")
_KERNELS_TOO = ("codec", "functional", "jpeg")
"""Rooms whose functions the tests of the kernels compare the compiled ones with."""


def main() -> None:
    """Prints each room's survivors, then its counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", default=",".join(ROOMS), help="separated by commas")
    parser.add_argument("--sample", type=int, default=20, help="breaks in each room")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a room's tests")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "softjpeg"
        copy.mkdir()
        for item in (item for pattern in _COPIED for item in ROOT.glob(pattern)):
            (shutil.copytree if item.is_dir() else shutil.copy)(item, copy / item.name)
        if (ROOT.parent / "shared").exists():
            (copy.parent / "shared").symlink_to(ROOT.parent / "shared")
        for room in options.rooms.split(","):
            began = time.monotonic()
            if room not in ROOMS or not passes(copy, files_for(copy, room), options.limit):
                sys.exit(f"{room} is no room, or its tests fail before anything is broken")
            limit = 2 * (time.monotonic() - began) + 30
            killed = [try_break(copy, room, *each, limit) for each in sample(copy, room, options)]
            print(f"{room}: {sum(killed)} of {len(killed)} killed", flush=True)


def sample(copy: Path, room: str, options: argparse.Namespace) -> Iterator[tuple[Path, Break]]:
    """Breaks on different lines of a room, as a seed draws them."""
    of_lines: dict[tuple[Path, int], list[Break]] = {}
    for path in sorted((copy / "src" / "softjpeg" / room).rglob("*.[pc]*")):
        find = {".py": python_breaks, ".c": c_breaks}.get(path.suffix)
        # Triton's programs run on a GPU alone.
        if find is not None and "triton" not in path.parts:
            source = path.read_text()
            for found in find(source):
                of_lines.setdefault((path, found.line(source)), []).append(found)
    draw = random.Random(options.seed)
    for line in draw.sample(sorted(of_lines), min(options.sample, len(of_lines))):
        yield line[0], draw.choice(of_lines[line])


def try_break(copy: Path, room: str, path: Path, change: Break, limit: float) -> bool:
    """Whether the tests notice; shows what they did not."""
    source = path.read_text()
    path.write_text(change.applied(source))
    try:
        killed = not (built(copy, path) and passes(copy, files_for(copy, room, path.stem), limit))
    finally:
        path.write_text(source)
        built(copy, path)
    if not killed:
        where = f"{path.relative_to(copy)}:{change.line(source)}"
        print(f"survived {where}\n{change.lines(source)}", flush=True)
    return killed


def built(copy: Path, path: Path) -> bool:
    """Compile the kernels again where a C file was changed."""
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    return path.suffix != ".c" or subprocess.run(command, cwd=copy, **_QUIET).returncode == 0


def files_for(copy: Path, room: str, stem: str = "") -> list[str]:
    """Test files of a room and its doctests; those of the module `stem` first."""
    tests = [
        *sorted((copy / "tests" / room).glob("test_*.py")),
        copy / "src" / "softjpeg" / room,
        *(sorted((copy / "tests" / "kernels").glob("test_*.py")) if room in _KERNELS_TOO else []),
    ]
    tests.sort(key=lambda path: path.stem != f"test_{stem}")
    return [str(path.relative_to(copy)) for path in tests]


def passes(copy: Path, tests: list[str], limit: float) -> bool:
    """Whether all of some tests pass in time."""
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", *tests]
    # No file of bytecode: a break of the same length and second would go unseen.
    settings = {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command, cwd=copy, env={**os.environ, **settings}, start_new_session=True, **_QUIET
    )
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()


_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

if __name__ == "__main__":
    main()
