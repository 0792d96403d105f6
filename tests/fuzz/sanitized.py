"""Fuzz C kernels that were built with Address- and UndefinedBehaviorSanitizer, by GCC on Linux.

    cd tests && python -m fuzz.sanitized                     for SSE2, AVX2 and AVX-512, if it can
    cd tests && SOFTJPEG_FUZZ=20000 python -m fuzz.sanitized x86-64-v4 -k kernels

A copy of the sources is built for each processor named, so that what the library else chooses when
it is loaded is reached by name. Other words go to pytest; a report of a sanitizer ends it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from softjpeg.kernels.library import sources_digest

ROOT = Path(__file__).parents[2]
PROCESSORS = {"x86-64": "sse2", "x86-64-v3": "avx2", "x86-64-v4": "avx512f"}
"""What GCC calls them, and what the machine must have."""


def main() -> None:
    chosen = [word for word in sys.argv[1:] if word in PROCESSORS]
    words = [word for word in sys.argv[1:] if word not in PROCESSORS]
    has = Path("/proc/cpuinfo").read_text().split()
    for processor in chosen or [name for name, needed in PROCESSORS.items() if needed in has]:
        print(processor, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            failed = fuzz(build(Path(scratch), processor), words)
        if failed:
            sys.exit(failed)


def build(folder: Path, processor: str) -> Path:
    """A copy of softjpeg and its tests there, its kernels sanitized."""
    built = shutil.ignore_patterns("*.so", "__pycache__")
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=built)
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env=os.environ | {"SOFTJPEG_SANITIZE": processor, "CC": "gcc"},
        check=True,
    )
    kernels = folder / "src/softjpeg/kernels"
    digest = sources_digest(kernels / "c").encode()
    libraries = [path.read_bytes() for path in kernels.glob("*.so")]
    if not libraries or not all(b"__asan_init" in x and digest in x for x in libraries):
        sys.exit("the sanitized kernels were not built")
    return folder


def fuzz(folder: Path, words: list[str]) -> int:
    """The exit status of pytest on the copy's fuzz tests."""
    runtimes = [
        subprocess.check_output(["gcc", f"-print-file-name=lib{name}.so"], text=True).strip()
        # An interpreter of C alone loads C++ too late for exceptions to be caught.
        for name in ("asan", "ubsan", "stdc++")
    ]
    # Unread by pytest, which would keep a report to itself.
    options = ["-n", "0", "-s", "-p", "no:cacheprovider", *words, "tests/fuzz"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=os.environ
        | {
            "PYTHONPATH": str(folder / "src"),
            "LD_PRELOAD": ":".join(runtimes),
            # Python keeps what it has until it ends; memory that is not there is an error to catch.
            "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:abort_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        check=False,
    ).returncode


if __name__ == "__main__":
    main()
