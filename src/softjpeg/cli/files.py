"""The commands that make and judge files: demo, learn, encode, evaluate, inspect."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import (
    BatchSize,
    Chroma,
    EncoderMode,
    Form,
    Images,
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
    sentence,
    show,
)
from softjpeg.cli.inputs import is_run, load_inputs, provenance
from softjpeg.cli.trained import evaluate_layer, inspect_run

if TYPE_CHECKING:
    from softjpeg.preset import Preset


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it writes.")] = Path("softjpeg-demo"),
    seed: Seed = 0,
) -> None:
    """Learn, encode and evaluate on a few photos, offline, in minutes."""
    from softjpeg.demo import run

    run(out, seed=seed)


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


@app.command()
def encode(
    images: Images,
    preset: Annotated[Path, typer.Option(help="The preset to encode with.")],
    out: Annotated[Path, typer.Option(help="Folder for the .jpg files.")],
    mode: EncoderMode = Mode.hard,
    seed: Seed = 0,
) -> None:
    """Write images as ordinary .jpg files with a preset's tables."""
    from softjpeg.encode_files import encode_files
    from softjpeg.preset import Preset

    tables = Preset.load(preset)
    summary = encode_files(images, tables, out, mode=mode.value, seed=seed, progress=True)
    for path, error in summary.failures:
        text = sentence(error)
        typer.echo(f"softjpeg: {text if str(path) in text else f'{path}: {text}'}", err=True)
    share = f" ({summary.bytes_out / summary.bytes_in:.1%})" if summary.bytes_in else ""
    typer.echo(
        f"{summary.written} images: {summary.bytes_in:,} bytes in, "
        f"{summary.bytes_out:,} bytes out{share}"
    )
    if failed := len(summary.failures):
        total = summary.written + failed
        typer.echo(f"softjpeg: {failed} of {total} images were not written", err=True)
        raise typer.Exit(1)


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


@app.command()
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
        inspect_run(file, out, images, limit, seed)
        return
    from softjpeg.inspection import describe, export_tables

    if export is not None:
        typer.echo(export_tables(file, export.value), nl=False)
        return
    show(describe(file))


def _presets(paths: list[Path]) -> dict[str, Preset]:
    """Presets by their files' stems, or by their paths where stems coincide."""
    from softjpeg.preset import Preset

    stems = Counter(path.stem for path in paths)
    return {p.stem if stems[p.stem] == 1 else str(p): Preset.load(p) for p in paths}


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
