"""``softjpeg export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.adapters import split_adapter
from softjpeg.cli.app import commands
from softjpeg.cli.outputs import check_outputs

if TYPE_CHECKING:
    from softjpeg.presets.preset import Preset
    from softjpeg.training.trained_network import TrainedNetwork


@commands.command()
def export(
    run: Annotated[str, typer.Argument(help="A training run, or NETWORK+ADAPTER.safetensors.")],
    out: Annotated[Path, typer.Option(help="The .onnx file to write, or .json.")],
) -> None:
    """Write a trained network, its JPEG layer and normalization inside, as ONNX.

    To a .json: the layer's tables alone, a preset to write files for this network with. A network
    with an adapter has a second input, the strength.
    """
    network, adapter = split_adapter(run)
    check_outputs({"--out": out}, [network, adapter])
    if adapter is not None:
        _export_adapted(network, adapter, out)
        return
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


def _export_adapted(network: str, adapter: str, out: Path) -> None:
    """A network and its adapter as one graph: without the preprocessing before it."""
    import torch

    from softjpeg.adaptation.adapter import Adapter
    from softjpeg.adaptation.strength_input import StrengthInput
    from softjpeg.cli.load import network_on_device
    from softjpeg.models.inference import device_of
    from softjpeg.nn.export import export_onnx

    if out.suffix.lower() != ".onnx":
        raise ValueError(f"--out must end in .onnx for a network with an adapter, got {str(out)!r}")
    changes, net = Adapter.load(adapter), network_on_device(network)
    if net.size is None:
        raise ValueError(f"{network} must have input_size to be exported: it reads any size")
    try:
        graph = StrengthInput(net.module, changes)
    except ValueError as error:
        raise ValueError(f"{adapter} does not fit {network}: {error}") from error
    strength = torch.zeros(1, device=device_of(net.module))
    export_onnx(graph, out, net.size, inputs={"strength": strength})
    height, width = net.size
    typer.echo(
        f"wrote {out}: inputs RGB (batch, 3, {height}, {width}) in [0, 1] and strength (1,), as "
        "softjpeg.read_strength(file, adapter) gives it; output as the network's"
    )


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
