"""``softjpeg inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import Form, Seed, commands, show
from softjpeg.cli.load import is_run, load_inputs, load_trained
from softjpeg.cli.outputs import check_outputs


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
        _write_page(file, out, images, limit, seed)
        return
    from softjpeg.report.inspection import describe, export_tables

    if export is not None:
        typer.echo(export_tables(file, export.value), nl=False)
        return
    show(describe(file))


def _write_page(run: Path, out: Path | None, images: Path | None, limit: int, seed: int) -> None:
    if out is None:
        raise ValueError(f"{run} is a training run: say where its page goes with --out PAGE.html")
    check_outputs({"--out": out}, [run, images])
    from softjpeg.common.files import write_text
    from softjpeg.report.run_page import run_page

    trained = load_trained(str(run))
    network, shown = load_inputs(str(run), images, limit=limit, seed=seed, trained=trained)
    test = trained.facts["result"]
    page = run_page(
        network.module,
        trained.network.layer,
        shown.pixels,
        shown.names,
        title=trained.recipe.name or str(run),
        labels=shown.labels,
        initial=trained.initial_tables,
        class_name=lambda i: trained.classes[i],
        facts={
            "network": trained.recipe.model.name,
            "variant": trained.variant,
            "seed": str(trained.seed),
            "step": str(trained.facts["step"]),
            **({"top-1 on the test images": f"{100 * test['top1']:.2f} %"} if test else {}),
        },
    )
    write_text(out, page)
    typer.echo(f"wrote {out}")
