"""The speed of softjpeg beside its peers.

    python -m benchmarks [SUBJECT ...] [--out DIR] [--quick] [--authors PATH] [--diff-jpeg PATH]
    python -m benchmarks page [--out DIR]

Subjects: layer, step, learn, files, start-up, scaling, gpu; all of them where none is named. Each
prints its tables and, with --out, writes DIR/SUBJECT.json. `page` makes docs/speed.md of such
files.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SUBJECTS = ("layer", "step", "learn", "files", "start-up", "scaling", "gpu")
PACKAGES = ("torchvision", "triton", "kornia", "jpeglib", "simplejpeg", "scikit-image")
DOCS = Path(__file__).parents[1] / "docs"
PAGE, RESULTS = DOCS / "speed.md", DOCS / "results" / "speed"


def main() -> None:
    options = parsed()
    if options.subjects == ["page"]:
        from benchmarks.speed.page import write_page

        write_page(PAGE, options.out or RESULTS)
        return
    for name in options.subjects or SUBJECTS:
        measure(name, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT")
    parser.add_argument("--out", type=Path, help="folder for the JSON files")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--authors", type=Path, help="a checkout of JPEG-DL's authors' code")
    parser.add_argument("--diff-jpeg", type=Path, help="a checkout of Diff-JPEG")
    options = parser.parse_args()
    known = (["page"], *([name] for name in SUBJECTS))
    for name in options.subjects:
        if [name] not in known or (name == "page" and len(options.subjects) > 1):
            parser.error(f"SUBJECT must be one of {', '.join(SUBJECTS)}, or page; got {name!r}")
    if options.threads < 1:
        parser.error(f"--threads must be at least 1, got {options.threads}")
    for option in ("authors", "diff_jpeg"):
        folder = getattr(options, option)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{option.replace('_', '-')} {folder}: this is no folder")
    return options


def measure(name: str, options: argparse.Namespace) -> None:
    """Run one subject, print it, and keep it where that is asked for."""
    from benchmarks.speed.page import subject_text
    from benchmarks.speed.subject import Options

    module = importlib.import_module(f"benchmarks.speed.{name.replace('-', '_')}")
    given = {key: getattr(options, key) for key in ("quick", "threads", "authors", "diff_jpeg")}
    facts = {
        "subject": name,
        "about": module.__doc__.strip(),
        "command": command(name, options),
        "environment": environment(),
        "threads": options.threads,
        **module.run(Options(**given)),
    }
    print(subject_text(facts), flush=True)
    if options.out is not None:
        from softjpeg.common.files import write_atomically

        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(
            options.out / f"{name}.json", (json.dumps(facts, indent=1) + "\n").encode()
        )


def command(name: str, options: argparse.Namespace) -> str:
    """What repeats the measurement; the user's own paths are nobody's business."""
    words = ["python -m benchmarks", name]
    words += ["--quick"] * options.quick
    words += [f"--threads {options.threads}"] * (options.threads != 2)
    words += ["--authors CHECKOUT"] * (options.authors is not None and name == "layer")
    words += ["--diff-jpeg CHECKOUT"] * (options.diff_jpeg is not None and name == "layer")
    return " ".join(words)


def environment() -> dict[str, str]:
    """Machine and versions, the peers' too, and which kernels were built."""
    from softjpeg.kernels.library import library
    from softjpeg.report.environment import environment as of_machine

    installed = []
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            installed.append(f"{package} {version(package)}")
    kernels = [name for name in ("_layer", "_decisions", "_coder") if library(name) is not None]
    openmp = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("OMP_")]
    return {
        **of_machine(),
        "peers": ", ".join(installed),
        "C kernels": f"C kernels: {', '.join(kernels) or 'not built'}",
        "OpenMP": ", ".join(sorted(openmp)) or "none",
    }


if __name__ == "__main__":
    main()
