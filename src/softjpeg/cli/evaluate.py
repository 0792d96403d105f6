"""``softjpeg evaluate``, and ``softjpeg plot`` for what it wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    EncoderMode,
    Labels,
    Limit,
    Mode,
    NetworkName,
    Resize,
    Seed,
    Size,
    check_folder,
    commands,
    numbers,
    sentence,
    show,
)
from softjpeg.cli.load import images_for, load_inputs, network_on_device, provenance
from softjpeg.cli.trained_runs import evaluate_layer

if TYPE_CHECKING:
    from softjpeg.codec.adaptive_quality import AdaptiveQuality
    from softjpeg.evaluation.encoders import Encoder
    from softjpeg.evaluation.gain import Gain
    from softjpeg.evaluation.points import RatePoint
    from softjpeg.presets.preset import Preset


class Recode(str, Enum):
    """Lossless steps after every JPEG encoder, the reference's too."""

    compact = "compact"
    progressive = "progressive"


@commands.command()
def evaluate(
    network: NetworkName,
    images: Annotated[
        Path | None, typer.Argument(help="As for learn; default: a run's own test images.")
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="A preset or ladder to measure, or a built-in one; may be repeated."),
    ] = None,
    quality: Annotated[
        str | None, typer.Option(help="Of ladders and of default JPEG beside them, as 10,20,50.")
    ] = None,
    subsampling: Annotated[
        str, typer.Option(help="Of default JPEG and competitors, as 4:2:0,4:4:4,4:2:2,gray.")
    ] = "4:2:0,4:4:4",
    mode: EncoderMode = Mode.hard,
    reader: Annotated[
        list[str] | None,
        typer.Option(help="Another network that reads the same files; may be repeated."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help='Competitors, as mozjpeg,webp, or "all".')
    ] = None,
    learn_from: Annotated[
        Path | None, typer.Option(help="Images for competitors that learn; never those to judge.")
    ] = None,
    recode: Annotated[
        Recode | None, typer.Option(help="Smaller headers or scans, for every JPEG alike.")
    ] = None,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers, image by image.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for a row of numbers a point.")] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="File for the curves: .html, .png or .svg.")
    ] = None,
) -> None:
    """Measure bytes and networks' answers on real files: presets beside default JPEG.

    For a training run without images: its layer as trained, rounding, as real files, and without.
    """
    for option, file in (("--json", json), ("--csv", csv), ("--plot", plot_file)):
        if file is not None:
            check_folder(option, file)
    if images is None and not preset and quality is None and against is None:
        evaluate_layer(network, limit, batch_size, seed, json)
        return
    if plot_file is not None:
        from softjpeg.report.rate_curves import check_format

        check_format(plot_file)
    from softjpeg.cli.competitors import choose, curves_of
    from softjpeg.evaluation.competitors import Context
    from softjpeg.evaluation.encoders import QUALITIES
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.rate_accuracy import evaluate
    from softjpeg.evaluation.results import save_csv, save_json
    from softjpeg.jpeg.subsampling import parse_subsampling

    rivals = [] if against is None else choose(against)
    qualities = QUALITIES if quality is None else numbers("--quality", quality)
    samplings = [parse_subsampling(text) for text in dict.fromkeys(subsampling.split(","))]
    presets = _presets(preset or [], qualities)
    net, loaded = load_inputs(network, images, labels, size, resize, limit, seed)
    readers = {name: network_on_device(name).module for name in reader or []}
    failures: dict[str, str] = {}

    def note(name: str, error: Exception) -> None:
        failures.setdefault(sentence(error), name)

    learning = None
    if rivals and learn_from is not None:
        learning = images_for(net, learn_from, labels, size, resize)
    context = Context(
        qualities=qualities,
        images=None if learning is None else learning.pixels,
        labels=None if learning is None else learning.labels,
        model=net.module,
        seed=seed,
        progress=True,
    )
    curves = curves_of(rivals, context, [s for s in samplings if s != "gray"], note)
    others = {label for curve in curves.values() for label in curve}

    def failed(name: str, error: Exception) -> None:
        if name not in others:
            raise ValueError(f"{name}: {error}") from error
        note(name, error)

    points = evaluate(
        {net.name: net.module, **readers} if readers else net.module,
        loaded.pixels,
        presets,
        labels=loaded.labels,
        qualities=qualities,
        subsampling=samplings,
        mode=mode.value,
        encoders=curves,
        change=None if recode is None else _recoded(recode),
        failed=failed,
        seed=seed,
        batch_size=batch_size,
        progress=True,
    )
    found = gains(points, seed=seed)
    _show(points, found)
    for reason, name in failures.items():
        typer.echo(f"softjpeg: {reason if name in reason else f'{name}: {reason}'}", err=True)
    facts = provenance(net, images, loaded, seed)
    facts["recode"] = "none" if recode is None else recode.value
    if json is not None:
        save_json(points, json, facts, found, seed=seed)
    if csv is not None:
        save_csv(points, csv, seed=seed)
    if plot_file is not None:
        _plot(plot_file, points, found, facts)


@commands.command()
def plot(
    points: Annotated[Path, typer.Argument(help="What evaluate --json wrote.")],
    out: Annotated[Path, typer.Option(help="File for the curves: .html, .png or .svg.")],
) -> None:
    """Draw the curves that evaluate measured."""
    check_folder("--out", out)
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.results import load_json

    loaded, facts = load_json(points)
    # A picture has no room for a table.
    found = gains(loaded, seed=facts.get("seed", 0)) if out.suffix == ".html" else []
    _plot(out, loaded, found, facts)


def _presets(
    specs: list[str], qualities: Sequence[int]
) -> dict[str, Preset | dict[str, Preset | AdaptiveQuality]]:
    """Presets by their files' stems, or by their paths where stems coincide; ladders by quality."""
    from softjpeg.codec.adaptive_quality import at_quality
    from softjpeg.presets.loading import load
    from softjpeg.presets.preset import Preset

    stems = Counter(Path(spec).stem for spec in specs)
    found: dict[str, Preset | dict[str, Preset | AdaptiveQuality]] = {}
    for spec in specs:
        name = Path(spec).stem if stems[Path(spec).stem] == 1 else spec
        loaded = load(spec)
        found[name] = (
            loaded
            if isinstance(loaded, Preset)
            else {f"{name} q {q}": at_quality(loaded, q) for q in qualities}
        )
    return found


def _recoded(how: Recode) -> Callable[[Mapping[str, Encoder]], Mapping[str, Encoder]]:
    from softjpeg.codec.recode import recode
    from softjpeg.evaluation.encoders import each_recoded

    step = partial(recode, header="compact", progressive=how is Recode.progressive)
    return partial(each_recoded, recode=step)


def _show(points: Sequence[RatePoint], found: Sequence[Gain]) -> None:
    from softjpeg.evaluation.gain import gains_table, headline
    from softjpeg.evaluation.points import table

    show(table(points))
    if not found:
        return
    show(gains_table(found, "Against the better of default JPEG at every rate"))
    measure = "top1" if any(g.quality == "top1" for g in found) else "agreement"
    for gain in found:
        if (gain.quality, gain.rate) == (measure, "bpp"):
            reader = f" (read by {gain.reader})" if gain.reader else ""
            typer.echo(headline(gain) + reader)


def _plot(
    path: Path, points: Sequence[RatePoint], found: Sequence[Gain], facts: Mapping[str, Any]
) -> None:
    from softjpeg.report.rate_curves import save_plot

    save_plot(path, points, found, facts)
    typer.echo(f"wrote {path}")
