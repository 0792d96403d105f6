"""``softjpeg adapt``."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    Crops,
    EncoderMode,
    FollowLinks,
    Images,
    Labels,
    Limit,
    Mode,
    NetworkName,
    Resize,
    Seed,
    Size,
    commands,
    show,
)
from softjpeg.cli.load import load_reader, provenance
from softjpeg.cli.outputs import check_outputs, check_page, resumable


class Trained(str, Enum):
    """What of the network changes."""

    norm = "norm"
    statistics = "statistics"
    first = "first"
    all = "all"
    front = "front"


@commands.command()
def adapt(
    network: NetworkName,
    images: Images,
    out: Annotated[Path, typer.Option(help="The adapter to write (.safetensors).")],
    preset: Annotated[
        str | None, typer.Option(help="A preset or ladder of the files; default: default JPEG.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="LOWEST..HIGHEST of default JPEG or a ladder [6..90].")
    ] = None,
    mode: EncoderMode = Mode.hard,
    train: Annotated[
        Trained,
        typer.Option(
            help="Weights of normalization layers; their statistics; norm and the first layer; all "
            "weights (--learning-rate 0.0003); or a small network before the frozen one."
        ),
    ] = Trained.norm,
    learn_tables: Annotated[
        Path | None,
        typer.Option(
            help="Also learn tables for the adapted network, in turns with adapting it: the ladder "
            "to write (.json), if they save bytes beyond chance."
        ),
    ] = None,
    loss: Annotated[
        str, typer.Option(help="kl, cosine or mse of the outputs, or FILE.py:FUNCTION.")
    ] = "kl",
    labels: Labels = None,
    feature_weight: Annotated[
        float, typer.Option(help="Of what the last layer reads, beside kl or labels.")
    ] = 3.0,
    size: Size = None,
    resize: Resize = None,
    crops: Crops = False,
    follow_links: FollowLinks = False,
    limit: Limit = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the images; default: as many as make 76 steps.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="At the first step.")] = 1e-3,
    clean_weight: Annotated[
        float, typer.Option(help="Share of the images that are read as they are.")
    ] = 0.1,
    max_clean_drop: Annotated[
        float,
        typer.Option(
            help="Points that originals may lose where one strength must do for every file."
        ),
    ] = 1.0,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to resume from, and to save progress in.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="A page of what was measured to write (.html).")
    ] = None,
) -> None:
    """Adapt a network to the files it will read: it learns to answer as on the originals."""
    if out.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, got {str(out)!r}")
    if learn_tables is not None and learn_tables.suffix != ".json":
        raise ValueError(f"--learn-tables must end in .json, got {str(learn_tables)!r}")
    inputs: list[str | Path | None] = [network, images, labels, preset]
    check_page(page)
    outputs = {"--out": out, "--learn-tables": learn_tables}
    check_outputs({**outputs, "--checkpoint": checkpoint, "--page": page}, inputs)
    qualities = _qualities(quality or "6..90")
    import softjpeg
    from softjpeg.adaptation.judging import figures_table
    from softjpeg.learning.losses import load_loss
    from softjpeg.presets.loading import load
    from softjpeg.presets.preset import Preset

    tables = None if preset is None else load(preset)
    if isinstance(tables, Preset) and quality is not None:
        raise ValueError(f"{preset} is one preset, which has no --quality {quality} to choose")
    if isinstance(tables, Preset) and learn_tables is not None:
        raise ValueError(f"{preset} is one preset: --learn-tables goes on from a ladder")
    if mode != Mode.hard and preset is None:
        raise ValueError(f"--mode {mode.value} needs a --preset: default JPEG is written in hard")
    chosen_loss = load_loss(loss)
    net, loaded, reader = load_reader(
        network,
        images,
        labels,
        size=size,
        resize=resize,
        crops=crops,
        limit=limit,
        seed=seed,
        follow_links=follow_links,
    )
    facts = provenance(net, images, loaded, seed)
    options: dict[str, Any] = {
        "preset": tables,
        "qualities": qualities,
        "mode": mode.value,
        "train": train.value,
        "loss": chosen_loss,
        "labels": loaded.labels,
        "feature_weight": feature_weight,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "clean_weight": clean_weight,
        "max_clean_drop": max_clean_drop,
        "seed": seed,
        "checkpoint": checkpoint,
        "progress": True,
        "provenance": facts if preset is None else {**facts, "preset": preset},
    }
    found = None
    with resumable(out, checkpoint):
        if learn_tables is None:
            adapter = softjpeg.adapt(reader, loaded.pixels, **options)
        else:
            found = softjpeg.co_adapt(reader, loaded.pixels, **options)
            adapter = found.adapter
            if found.ladder is not None:
                found.ladder.save(learn_tables)
        adapter.save(out)
        if page is not None:
            from softjpeg.common.files import write_text
            from softjpeg.report.adapt_page import adapt_page

            write_text(page, adapt_page(adapter, title=f"softjpeg adapt {net.name}"))
    show(figures_table(adapter.provenance["figures"], adapter.provenance["loss"]))
    for turn, (saved, low, high) in enumerate(found.saved if found else (), 1):
        kept = "kept" if low > 0 else "not kept"
        typer.echo(
            f"turn {turn}: {100 * saved:+.1f} % of the bytes saved at equal loss "
            f"({100 * low:+.1f} to {100 * high:+.1f}), {kept}"
        )
    if found and found.ladder is not None:
        typer.echo(f"wrote {learn_tables}")
    count = sum(weight.numel() for weight in adapter.base.values())
    typer.echo(
        f"wrote {out} ({count:,} weights); measure it with: "
        f"softjpeg evaluate {network}+{out} PHOTOS --reader {network}"
    )


def _qualities(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,3})\.\.(\d{1,3})", text)
    if found is None:
        raise ValueError(f"--quality must be LOWEST..HIGHEST, as 6..90, got {text!r}")
    return int(found[1]), int(found[2])
