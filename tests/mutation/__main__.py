"""Which faults the tests would miss: breaks a copy of softjpeg, one place at a time.

cd tests && python -m mutation --rooms learning,presets --sample 20 --seed 0
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mutation.breaks import Break, c_breaks, python_breaks
from mutation.named import Named
from mutation.running import FAILED, LATE, PASSED, outcome, preload, touched
from mutation.touched import Ordered, Touched

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.parent.name for path in (ROOT / "src" / "softjpeg").glob("*/__init__.py"))
_COPIED = ("src", "tests", "benchmarks", "docs", "examples", "recipes", "*.toml", "*.py", "*.md")
_KERNELS_TOO = ("codec", "functional", "jpeg")
"""Rooms whose functions the tests of the kernels compare the compiled ones with."""
_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main() -> None:
    """Prints what became of each break, then each room's counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", default=",".join(ROOMS), help="separated by commas")
    parser.add_argument("--sample", type=int, default=20, help="breaks in each room")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--by-name", action="store_true", help="to tests that name it, quickly")
    parser.add_argument("--limit", type=float, default=1200, help="seconds for a room's tests")
    options = parser.parse_args()
    rooms = options.rooms.split(",")
    if unknown := set(rooms) - set(ROOMS):
        sys.exit(f"--rooms must be of {', '.join(ROOMS)}, got {', '.join(sorted(unknown))}")
    preload()
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        noted: dict[str, Touched] = {}
        for room in rooms:
            tested_by = [room, *(["kernels"] if room in _KERNELS_TOO else [])]
            calls: Touched | Named
            if options.by_name:
                calls = Named(sorted((copy / "tests" / room).glob("test_*.py")))
            else:
                for name in tested_by:
                    noted[name] = noted.get(name) or unbroken(copy, name, options.limit)
                calls = Touched.of_all(noted[name] for name in tested_by)
            found = []
            for path, change in sample(copy, room, options):
                found.append(try_break(copy, path, change, calls))
            late = f", {found.count(LATE)} of them by the clock" if LATE in found else ""
            killed = len(found) - found.count(PASSED)
            print(f"{room}: {killed} of {len(found)} killed{late}", flush=True)


def copied(folder: Path) -> Path:
    """The tree without what git ignores but the compiled kernels, and the data beside it."""
    copy = folder / "softjpeg"
    copy.mkdir()
    for item in (item for pattern in _COPIED for item in ROOT.glob(pattern)):
        (shutil.copytree if item.is_dir() else shutil.copy)(item, copy / item.name)
    if (ROOT.parent / "shared").exists():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    return copy


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


def try_break(copy: Path, path: Path, change: Break, calls: Touched | Named) -> str:
    """What the tests make of it; shows the lines that they did not notice or that took too long."""
    source = path.read_text()
    first, files = calls.plan(path, change.line(source))
    path.write_text(change.applied(source))
    try:
        limit = 60 + 3 * calls.lasted(files)
        ordered = Ordered(first)
        found = PASSED if not files else FAILED
        if built(copy, path) and files:
            found = outcome(copy, files, limit, ordered)
    finally:
        path.write_text(source)
        built(copy, path)
    lines = "" if found == FAILED else "\n" + change.lines(source)
    print(f"{found}: {path.relative_to(copy)}:{change.line(source)}{lines}", flush=True)
    return found


def built(copy: Path, path: Path) -> bool:
    """Compile the kernels again where a C file was changed."""
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    return path.suffix != ".c" or subprocess.run(command, cwd=copy, **_QUIET).returncode == 0


def unbroken(copy: Path, room: str, limit: float) -> Touched:
    """What the tests of a room and its doctests run, after a look that they pass."""
    tests = sorted((copy / "tests" / room).glob("test_*.py"))
    package = copy / "src" / "softjpeg"
    try:
        return touched(copy, [*map(str, tests), str(package / room)], package, limit)
    except RuntimeError as why:
        print((copy / "log").read_text())
        sys.exit(f"the tests of {room} {why} before anything is broken")


if __name__ == "__main__":
    main()
