"""Options of ``softjpeg encode`` for runs of many images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from softjpeg.corpus.watch import Watching

Sources = Annotated[
    str,
    typer.Argument(help="A folder, an image, or a text file listing images; of shards also a URL."),
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
MaxFailures = Annotated[
    str | None, typer.Option(help="End the run when more images failed than N, or N%.")
]
KeepSmaller = Annotated[
    bool,
    typer.Option("--keep-smaller", help="A JPEG that would not become smaller stays as it is."),
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


def watching_of(max_failures: str | None, json: bool, metrics: Path | None) -> Watching:
    """How a run is watched; ValueError of what cannot be."""
    from softjpeg.cli.outputs import check_outputs
    from softjpeg.corpus.watch import MostFailures, Watching

    check_outputs({"--metrics": metrics})
    most = MostFailures() if max_failures is None else MostFailures.parse(max_failures)
    return Watching(True, sys.stdout if json else None, metrics, most)
