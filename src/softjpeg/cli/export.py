"""``softjpeg export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.outputs import check_outputs

if TYPE_CHECKING:
    from softjpeg.presets.preset import Preset
    from softjpeg.training.trained_network import TrainedNetwork


@commands.command()
def export(
    run: Annotated[str, typer.Argument(help="A training run.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write, or .json.")],
) -> None:
    """Write a trained network, its JPEG layer and normalization inside, as ONNX.

    To a .json: the layer's tables alone, a preset to write files for this network with.
    """
    check_outputs({"--out": out}, [run])
    from softjpeg.cli.load import load_trained
    from softjpeg.nn.export import export_onnx

    trained = load_trained(run)
    if out.suffix.lower() == ".json":
        layer_preset(trained, run).save(out)
        typer.echo(f"wrote {out}: softjpeg encode IMAGES --preset {out} --out FOLDER")
        return
    size = trained.recipe.data.size
    export_onnx(trained.network, out, (size, size))
    typer.echo(f"wrote {out}: input RGB (batch, 3, {size}, {size}) in [0, 1], output logits")


def layer_preset(trained: TrainedNetwork, run: str) -> Preset:
    """The tables of a run's layer, and which run they are of."""
    from softjpeg.nn.jpeg_layer import JPEGLayer

    layer = trained.network.layer
    if not isinstance(layer, JPEGLayer):
        raise ValueError(f"{run} has no JPEG layer in front of its network, whose tables to write")
    facts = {"run": run, "variant": trained.variant, "seed": trained.seed}
    try:
        return layer.to_preset(facts | {"recipe": trained.facts["recipe"]})
    except ValueError as error:
        raise ValueError(f"{run}: {error}") from None
