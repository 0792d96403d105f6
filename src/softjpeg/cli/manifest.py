"""``softjpeg manifest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.outputs import check_outputs


@commands.command()
def manifest(
    folder: Annotated[Path, typer.Argument(help="A folder that encode wrote to.")],
    out: Annotated[Path, typer.Option(help="The file to write (.parquet).")],
) -> None:
    """Write the rows of all manifests in a folder as one Parquet file."""
    if out.suffix != ".parquet":
        raise ValueError(f"--out must end in .parquet, got {str(out)!r}")
    check_outputs({"--out": out})
    from softjpeg.corpus.manifest_table import write_table

    typer.echo(f"wrote {out}: {write_table(folder, out)} rows")
