"""``softjpeg evaluate``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import (
    BatchSize,
    Chroma,
    EncoderMode,
    Labels,
    Limit,
    Mode,
    NetworkName,
    Resize,
    Seed,
    Size,
    Subsampling,
    app,
    check_folder,
    numbers,
    show,
)
from softjpeg.cli.inputs import load_inputs, provenance
from softjpeg.cli.trained import evaluate_layer

if TYPE_CHECKING:
    from softjpeg.preset import Preset


@app.command()
def evaluate(
    network: NetworkName,
    images: Annotated[
        Path | None, typer.Argument(help="As for learn; default: a run's own test images.")
    ] = None,
    preset: Annotated[
        list[Path] | None, typer.Option(help="A preset to measure; may be repeated.")
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="Qualities of default JPEG beside it, as 10,20,50.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    mode: EncoderMode = Mode.hard,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
) -> None:
    """Measure bytes and the network's answers on real files: presets beside default JPEG.

    For a training run without images: its layer as trained, rounding, as real files, and without.
    """
    if json is not None:
        check_folder("--json", json)
    if images is None and not preset and quality is None:
        evaluate_layer(network, limit, batch_size, seed, json)
        return
    qualities = {} if quality is None else {"qualities": numbers("--quality", quality)}
    from softjpeg.evaluation import evaluate, save_json, table

    presets = _presets(preset or [])
    net, loaded = load_inputs(network, images, labels, size, resize, limit, seed)
    points = evaluate(
        net.module,
        loaded.pixels,
        presets,
        labels=loaded.labels,
        **qualities,
        subsampling=subsampling.value,
        mode=mode.value,
        seed=seed,
        batch_size=batch_size,
        progress=True,
    )
    show(table(points))
    if json is not None:
        save_json(points, json, provenance(net, images, loaded, seed))


def _presets(paths: list[Path]) -> dict[str, Preset]:
    """Presets by their files' stems, or by their paths where stems coincide."""
    from softjpeg.preset import Preset

    stems = Counter(path.stem for path in paths)
    return {p.stem if stems[p.stem] == 1 else str(p): Preset.load(p) for p in paths}
