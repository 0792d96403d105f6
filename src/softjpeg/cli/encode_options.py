"""Options of ``softjpeg encode`` for runs of many images."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from softjpeg.corpus.limits import Limits
    from softjpeg.corpus.watch import Watching

Sources = Annotated[
    str,
    typer.Argument(help="A folder, an image, or a text file listing images; of shards also a URL."),
]
ShortSide = Annotated[
    str | None,
    typer.Option(
        help="Most pixels of a stored image's shorter side, or keep; default: the preset's; with "
        "--network several, as keep,320,256."
    ),
]
Center = Annotated[
    str | None,
    typer.Option(
        help="Share of the shorter side, in the middle, that is stored whole, as 0.9, for readers "
        "that crop the centre: outside it blocks' means alone. none for all; default: the preset's."
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option(
        help="Of each file: the highest quality that fits, up to --quality; where none does the "
        "image fails."
    ),
]
Effort = Annotated[
    str,
    typer.Option(
        help="all: from the smallest file upwards; N: halving the ladder, then down until N "
        "smaller files were tried in vain; repair[:PASSES]: as all, then coefficients changed "
        "along the network's gradient."
    ),
]
Manifests = Annotated[
    bool,
    typer.Option(
        "--manifest", help="Keep a manifest in each folder, and skip what it says is done."
    ),
]
Retry = Annotated[
    str, typer.Option(help="Try images again that failed so: all, decode, limit, ...")
]
Verify = Annotated[bool, typer.Option("--verify", help="Compare digests of what is done, too.")]
Seconds = Annotated[
    float | None,
    typer.Option(help="An image that takes longer fails; default: of shards 60, else none."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        help="An image whose header says more fails; default: of shards 89478485, else 178956970."
    ),
]
MaxSourceBytes = Annotated[
    int | None,
    typer.Option(
        help="An image whose file is larger fails; default: of shards 67108864, else 1073741824."
    ),
]
MaxFrames = Annotated[
    int | None, typer.Option(help="An image of more frames or pages fails; default: 1000.")
]
MaxFailures = Annotated[
    str | None, typer.Option(help="End the run when more images failed than N, or N%.")
]
KeepSmaller = Annotated[
    bool,
    typer.Option("--keep-smaller", help="A JPEG that would not become smaller stays as it is."),
]
Requantize = Annotated[
    bool,
    typer.Option(
        "--requantize",
        help="Of a JPEG its own coefficients with the preset's tables, without pixels between.",
    ),
]
DrySample = Annotated[
    int | None,
    typer.Option("--dry-run", help="Write nothing: bytes, cost and failures, from N images."),
]
JSONRows = Annotated[
    bool, typer.Option("--json", help="A line of JSON for each image, and a last one for all.")
]
Metrics = Annotated[
    Path | None, typer.Option(help="A file for Prometheus, written anew every 15 seconds.")
]

EngineOption = Annotated[
    str, typer.Option("--engine", help="Of shards: local (processes), or ray, also a cluster.")
]


def watching_of(max_failures: str | None, json: bool, metrics: Path | None) -> Watching:
    """How a run is watched; ValueError of what cannot be."""
    from softjpeg.cli.outputs import check_outputs
    from softjpeg.corpus.watch import MostFailures, Watching

    check_outputs({"--metrics": metrics})
    most = MostFailures() if max_failures is None else MostFailures.parse(max_failures)
    return Watching(True, sys.stdout if json else None, metrics, most)


def limits_of(
    shards: bool,
    pixels: int | None,
    source_bytes: int | None,
    frames: int | None,
    seconds: float | None,
) -> Limits:
    """What --max-pixels, --max-source-bytes, --max-frames and --seconds say, or else the default.

    Raises:
        ValueError: one that is not above 0.
    """
    from softjpeg.corpus.folders import FILE_LIMITS
    from softjpeg.corpus.limits import Limits

    given = {
        "pixels": ("--max-pixels", pixels),
        "bytes": ("--max-source-bytes", source_bytes),
        "frames": ("--max-frames", frames),
        "seconds": ("--seconds", seconds),
    }
    for option, value in given.values():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"{option} must be above 0, got {value}")
    known: dict[str, Any] = {name: value for name, (_, value) in given.items() if value is not None}
    return replace(Limits() if shards else FILE_LIMITS, **known)


def check_for_networks(out: str, engine: str, flags: bool, *numbers: float | None) -> None:
    """Refuse what there is not with networks in the loop."""
    if flags or any(number is not None for number in numbers):
        raise ValueError(
            "--seconds, --max-bytes, --max-pixels, --max-source-bytes, --max-frames, "
            "--keep-smaller, --requantize and --dry-run are for images that no network is asked "
            "about: leave them or --network out"
        )
    check_for_folders(out, engine, True, "", False)


def check_for_shards(images: str, of_folders: bool) -> None:
    """Refuse what is for folders alone."""
    if of_folders:
        raise ValueError(
            f"{images} holds shards, which have manifests of their own and no names to collide: "
            "leave out --manifest, --name-collision and --reader"
        )


def check_for_folders(out: str, engine: str, manifest: bool, retry: str, verify: bool) -> None:
    """Refuse what is for shards alone, or needs a manifest."""
    if "://" in out:
        raise ValueError(f"--out {out}: only shards are written to a URL")
    if engine != "local":
        raise ValueError(f"--engine is of shards: leave {engine} out")
    if (retry or verify) and not manifest:
        raise ValueError("--retry and --verify go by a manifest: say --manifest, too")
