"""``softjpeg train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import commands, numbers, show
from softjpeg.cli.outputs import check_output_folder


@commands.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder of the experiment; it goes on where it was.")],
    variant: Annotated[
        str,
        typer.Option(
            help="jpeg-dl, baseline, hard, noise, cubic, lsq, clip, zero-dc, fixed-tables, "
            "random-tables, jpeg-augmentation, conv1, rounds-5; several with commas between."
        ),
    ] = "jpeg-dl",
    seeds: Annotated[str, typer.Option(help="Seeds with commas between, as 0,1,2.")] = "0",
    jpeg_at: Annotated[
        str | None, typer.Option(help="Put the layer after this module, by dotted path.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out and list images that cannot be read.")
    ] = False,
) -> None:
    """Train a network with a JPEG layer, or its baseline, as a recipe says."""
    from softjpeg.common.interrupt import StoppedBySignalError
    from softjpeg.training.distributed import joined
    from softjpeg.training.experiment import load_experiment
    from softjpeg.training.runs import sweep
    from softjpeg.training.summary import save_summary, table

    check_output_folder(out)
    experiment = load_experiment(
        recipe,
        out,
        variants=[word.strip() for word in variant.split(",")],
        settings=[*(set_ or ()), *["data.skip_bad=true"] * skip_bad],
        jpeg_at=jpeg_at,
    )
    with joined() as group:
        try:
            results = sweep(experiment, numbers("--seeds", seeds), group=group, progress=True)
        except StoppedBySignalError as stopped:
            if group.leads:
                typer.echo(f"softjpeg: {stopped}", err=True)
            raise typer.Exit(stopped.code) from None
        if group.leads:
            show(table(results, experiment.expected))
            save_summary(results, out / "summary.json", {"recipe": str(recipe)})
            typer.echo(f"wrote {out / 'summary.json'} and a folder for each run in {out}")
