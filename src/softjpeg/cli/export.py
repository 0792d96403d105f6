"""``softjpeg export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.outputs import check_outputs


@commands.command()
def export(
    run: Annotated[str, typer.Argument(help="A training run.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write.")],
) -> None:
    """Write a trained network, its JPEG layer and normalization inside, as ONNX."""
    check_outputs({"--out": out}, [run])
    from softjpeg.cli.load import load_trained
    from softjpeg.nn.export import export_onnx

    trained = load_trained(run)
    size = trained.recipe.data.size
    export_onnx(trained.network, out, (size, size))
    typer.echo(f"wrote {out}: input RGB (batch, 3, {size}, {size}) in [0, 1], output logits")
