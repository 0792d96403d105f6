"""``softjpeg evaluate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.adapters import split_adapter, with_adapter
from softjpeg.cli.app import (
    BatchSize,
    Crops,
    EncoderMode,
    FollowLinks,
    Labels,
    Limit,
    Mode,
    NetworkName,
    Resize,
    Seed,
    Size,
    commands,
    numbers,
    show,
)
from softjpeg.cli.load import (
    images_for,
    load_inputs,
    load_reader,
    network_on_device,
    provenance,
    reader_of,
)
from softjpeg.cli.outputs import check_outputs

if TYPE_CHECKING:
    from torch import nn

    from softjpeg.common.image_set import ImageSet, PhotoSet
    from softjpeg.evaluation.encoders import Encoder
    from softjpeg.evaluation.gain import Gain
    from softjpeg.evaluation.points import RatePoint


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
        typer.Option(
            help="A preset or ladder: a file, a built-in name, or default (libjpeg's); repeated."
        ),
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
    center: Annotated[
        str | None,
        typer.Option(help="Beside each preset and competitor the same storing this centre whole."),
    ] = None,
    recode: Annotated[
        Recode | None, typer.Option(help="Smaller headers or scans, for every JPEG alike.")
    ] = None,
    ssim: Annotated[
        bool, typer.Option("--ssim", help="Measure what files cost the eye, too: SSIM.")
    ] = False,
    labels: Labels = None,
    size: Size = None,
    resize: Resize = None,
    crops: Crops = False,
    follow_links: FollowLinks = False,
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

    NETWORK+ADAPTER.safetensors reads each file at the strength that its tables ask for.

    For a training run without images: its layer as trained, rounding, as real files, and without.
    """
    check_outputs(
        {"--json": json, "--csv": csv, "--plot": plot_file},
        [network, images, labels, learn_from, *(preset or []), *(reader or [])],
    )
    name, adapter = split_adapter(network)
    asked = preset or quality is not None or against is not None or adapter is not None
    if images is None and not asked:
        _evaluate_layer(network, limit, batch_size, seed, json)
        return
    from softjpeg.cli.competitors import choose, rivals
    from softjpeg.cli.presets import load_curves, stored_center, with_centers
    from softjpeg.evaluation.competitors import Context
    from softjpeg.evaluation.encoders import QUALITIES
    from softjpeg.evaluation.gain import gains
    from softjpeg.evaluation.rate_accuracy import evaluate
    from softjpeg.evaluation.results import save_csv, save_json
    from softjpeg.jpeg.subsampling import parse_subsampling
    from softjpeg.report.rate_curves import check_format, save_plot

    if plot_file is not None:
        check_format(plot_file)
    competitors = choose(against)
    qualities = QUALITIES if quality is None else numbers("--quality", quality)
    samplings = [parse_subsampling(text) for text in dict.fromkeys(subsampling.split(","))]
    share = None if center is None else stored_center(center)
    presets = with_centers(load_curves(preset or [], qualities), share)
    net, loaded, module = load_reader(
        name,
        images,
        labels,
        size=size,
        resize=resize,
        crops=crops,
        limit=limit,
        seed=seed,
        follow_links=follow_links,
    )
    net, module = replace(net, name=network), with_adapter(module, network)
    readers = {other: _reader(other, loaded) for other in reader or []}
    context = Context(qualities=qualities, model=net.module, center=share, seed=seed, progress=True)
    if competitors and learn_from is not None:
        # Their tables are learned on crops, wherever they are judged.
        learning = images_for(net, learn_from, labels, size, resize, follow_links=follow_links)
        context = replace(context, images=learning.pixels, labels=learning.labels)
    others = rivals(competitors, context, samplings)
    points = evaluate(
        {net.name: module, **readers} if readers else module,
        loaded.pixels,
        presets,
        labels=loaded.labels,
        qualities=qualities,
        subsampling=samplings,
        mode=mode.value,
        encoders=others.curves,
        change=None if recode is None else _recoded(recode),
        ssim=ssim,
        failed=others.failed,
        seed=seed,
        batch_size=batch_size,
        progress=True,
    )
    against_default = gains(points, seed=seed)
    _show(points, against_default)
    others.show_failures()
    facts = provenance(net, images, loaded, seed)
    facts["center"] = share
    facts["recode"] = "none" if recode is None else recode.value
    if json is not None:
        save_json(points, json, facts, against_default, seed=seed)
    if csv is not None:
        save_csv(points, csv, seed=seed)
    if plot_file is not None:
        save_plot(plot_file, points, against_default, facts)
        typer.echo(f"wrote {plot_file}")


def _reader(name: str, loaded: ImageSet | PhotoSet) -> nn.Module:
    """Another network on the same files, with its adapter where it has one."""
    network = network_on_device(split_adapter(name)[0])
    return with_adapter(reader_of(network, loaded), name)


def _evaluate_layer(
    run: str, limit: int | None, batch_size: int, seed: int, json: Path | None
) -> None:
    """Show a run's layer as trained, rounding, as real files, and left out."""
    net, loaded = load_inputs(run, limit=limit, seed=seed)
    from softjpeg.evaluation.layer_versions import layer_versions, save_versions, versions_table
    from softjpeg.nn.wrapping import JPEGNetwork

    assert isinstance(net.module, JPEGNetwork)
    assert loaded.labels is not None
    versions = layer_versions(
        net.module, loaded.pixels, loaded.labels, batch_size=batch_size, progress=True
    )
    show(versions_table(versions, f"{run}: {len(loaded)} test images"))
    if json is not None:
        save_versions(versions, json, provenance(net, None, loaded, seed))


def _recoded(how: Recode) -> Callable[[Mapping[str, Encoder]], Mapping[str, Encoder]]:
    from softjpeg.codec.recode import recode
    from softjpeg.evaluation.encoders import each_recoded

    step = partial(recode, header="compact", progressive=how is Recode.progressive)
    return partial(each_recoded, recode=step)


def _show(points: Sequence[RatePoint], against_default: Sequence[Gain]) -> None:
    from softjpeg.evaluation.gain import gains_table, headline
    from softjpeg.evaluation.points import table

    show(table(points))
    if not against_default:
        return
    show(gains_table(against_default, "Against the better of default JPEG at every rate"))
    measure = "top1" if any(g.quality == "top1" for g in against_default) else "agreement"
    for gain in against_default:
        if (gain.quality, gain.rate) == (measure, "bpp"):
            reader = f" (read by {gain.reader})" if gain.reader else ""
            typer.echo(headline(gain) + reader)
