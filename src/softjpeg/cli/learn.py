"""``softjpeg learn``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import (
    BatchSize,
    Chroma,
    Images,
    Labels,
    Limit,
    NetworkName,
    Resize,
    Seed,
    Size,
    Subsampling,
    app,
    check_folder,
)
from softjpeg.cli.inputs import load_inputs, provenance

if TYPE_CHECKING:
    from softjpeg.preset import Preset


@app.command()
def learn(
    network: NetworkName,
    images: Images,
    out: Annotated[Path, typer.Option(help="The preset to write (JSON).")],
    target_bpp: Annotated[float | None, typer.Option(help="Bits per pixel to reach.")] = None,
    rate_weight: Annotated[
        float | None, typer.Option(help="Or: what a bit per pixel is worth, in nats of KL.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    rounds: Annotated[int, typer.Option(help="Of measuring and solving; 2 is finer.")] = 1,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to resume from, and to save progress in.")
    ] = None,
) -> None:
    """Learn a preset: the tables at which a network still works and files are small."""
    if (target_bpp is None) == (rate_weight is None):
        raise ValueError("give exactly one of --target-bpp and --rate-weight")
    check_folder("--out", out)
    if checkpoint is not None:
        check_folder("--checkpoint", checkpoint)
    import softjpeg

    net, loaded = load_inputs(network, images, labels, size, resize, limit, seed)
    preset = softjpeg.learn(
        net.module,
        loaded.pixels,
        labels=loaded.labels,
        subsampling=subsampling.value,
        rate_weight=rate_weight,
        target_bpp=target_bpp,
        rounds=rounds,
        batch_size=batch_size,
        seed=seed,
        checkpoint=checkpoint,
        progress=True,
        provenance=provenance(net, images, loaded, seed),
    )
    preset.save(out)
    typer.echo(_verdict(preset))
    typer.echo(f"wrote {out}; see it with: softjpeg inspect {out}")


def _verdict(preset: Preset) -> str:
    """What learning gained on the judging half of the images, and whether the rate was reached."""
    learned = preset.provenance["learned"]
    judged, kind = learned["judged"], learned["loss_kind"]
    lines = [
        f"judged on half of the images: {kind} {judged['loss']:.4f} at {judged['bpp']:.3f} bpp;"
        f" default tables {judged['default_loss']:.4f} at {judged['default_bpp']:.3f} bpp"
    ]
    if judged["loss"] == judged["default_loss"]:
        lines.append("nothing clearly better than the default tables was found: they are kept")
    target = learned["target_bpp"]
    if target is not None and abs(learned["bpp"] / target - 1) > 0.05:
        lines.append(f"{target} bpp cannot be reached: the nearest is {learned['bpp']:.3f}")
    return "\n".join(lines)
