"""The commands that show: demo, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import Form, Seed, commands, show
from softjpeg.cli.load import is_run
from softjpeg.cli.trained_runs import inspect_run


@commands.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it writes.")] = Path("softjpeg-demo"),
    seed: Seed = 0,
) -> None:
    """Learn, encode and evaluate on a few photos, offline, in minutes."""
    from softjpeg.cli.demo import run

    run(out, seed=seed)


@commands.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A .jpg, a preset, or a training run.")],
    export: Annotated[
        Form | None, typer.Option(help="Print the tables for another encoder instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Of a training run: the page to write (HTML).")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Images for that page; default: the run's test images.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Measure what a layer does on so many.")] = 256,
    seed: Seed = 0,
) -> None:
    """Show what is in a .jpg or a preset: tables, quality, bytes by marker.

    Of a training run: a page on what its layer learned, what it removes and what the network sees.
    """
    if is_run(file):
        inspect_run(file, out, images, limit, seed)
        return
    from softjpeg.report.inspection import describe, export_tables

    if export is not None:
        typer.echo(export_tables(file, export.value), nl=False)
        return
    show(describe(file))
