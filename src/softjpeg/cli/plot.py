"""``softjpeg plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.outputs import check_outputs


@commands.command()
def plot(
    points: Annotated[Path, typer.Argument(help="What evaluate --json wrote.")],
    out: Annotated[Path, typer.Option(help="File for the curves: .html, .png or .svg.")],
) -> None:
    """Draw the curves that evaluate measured."""
    check_outputs({"--out": out}, [points])
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.results import load_json
    from softjpeg.report.rate_curves import save_plot

    measured, facts = load_json(points)
    # A picture has no room for a table.
    rows = gains(measured, seed=facts.get("seed", 0)) if out.suffix == ".html" else []
    save_plot(out, measured, rows, facts)
    typer.echo(f"wrote {out}")
