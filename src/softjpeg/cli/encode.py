"""``softjpeg encode``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    EncoderMode,
    FollowLinks,
    Mode,
    Seed,
    commands,
    numbers,
)
from softjpeg.cli.encode_for_networks import encode_for_networks
from softjpeg.cli.encode_options import (
    Center,
    DrySample,
    Effort,
    EngineOption,
    JSONRows,
    KeepSmaller,
    Manifests,
    MaxBytes,
    MaxFailures,
    MaxFrames,
    MaxPixels,
    MaxSourceBytes,
    Metrics,
    Requantize,
    Retry,
    Seconds,
    ShortSide,
    Sources,
    Verify,
    check_for_folders,
    check_for_networks,
    check_for_shards,
    limits_of,
    watching_of,
)
from softjpeg.cli.encode_report import report, report_dry_run, report_readers, report_shards
from softjpeg.cli.load import network_on_device

_LADDER = "5,8,12,16,20,25,30,40,50,60,75,85,95"
_NETWORKS = "timm:NAME, FILE.py:FACTORY, a run, ...; may be repeated."


@commands.command()
def encode(
    images: Sources,
    out: Annotated[str, typer.Option(help="Folder for the .jpg files; of shards also a URL.")],
    preset: Annotated[
        list[str] | None,
        typer.Option(help="A preset or ladder: a file, a built-in name, or default (libjpeg's)."),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(help="Of a ladder or default, 1 to 100; with --network several, as 10,20."),
    ] = None,
    subsampling: Annotated[
        str | None,
        typer.Option(
            help="4:2:0, 4:2:2, 4:4:4 or gray; default: the preset's; several: 4:2:0,gray."
        ),
    ] = None,
    max_bytes: MaxBytes = None,
    short_side: ShortSide = None,
    center: Center = None,
    mode: EncoderMode = Mode.hard,
    header: Annotated[str, typer.Option(help="jfif (libjpeg's), or compact, which is smaller.")] = (
        "jfif"
    ),
    progressive: Annotated[
        bool, typer.Option("--progressive", help="Progressive scans where they are smaller.")
    ] = False,
    metadata: Annotated[
        bool, typer.Option(help="Keep ICC profiles, which may be larger than a small picture.")
    ] = True,
    network: Annotated[
        list[str] | None, typer.Option(help=f"Write what this network needs: {_NETWORKS}")
    ] = None,
    keep: Annotated[
        str, typer.Option(help="What it needs: top1, top5, in-top5, kl:LIMIT or cosine:LIMIT.")
    ] = "top1",
    average: Annotated[
        bool, typer.Option("--average", help="Of several networks the mean must keep it, not each.")
    ] = False,
    effort: Effort = "all",
    reader: Annotated[
        list[str] | None, typer.Option(help=f"Report what it makes of the files: {_NETWORKS}")
    ] = None,
    manifest: Manifests = False,
    name_collision: Annotated[
        str,
        typer.Option(help="Of a.png and a.bmp: error writes neither, suffix a.png.jpg, a.bmp.jpg."),
    ] = "error",
    background: Annotated[
        str, typer.Option(help="Under what is transparent: red,green,blue from 0 to 255.")
    ] = "255,255,255",
    truncated: Annotated[
        str, typer.Option(help="refuse a JPEG that is cut off or corrupt, or keep what is there.")
    ] = "refuse",
    follow_links: FollowLinks = False,
    batch_size: BatchSize = 32,
    jobs: Annotated[int, typer.Option(help="Images at a time; default: one for each core.")] = (
        os.cpu_count() or 1
    ),
    seed: Seed = 0,
    max_pixels: MaxPixels = None,
    max_source_bytes: MaxSourceBytes = None,
    max_frames: MaxFrames = None,
    seconds: Seconds = None,
    retry: Retry = "",
    verify: Verify = False,
    max_failures: MaxFailures = None,
    keep_smaller: KeepSmaller = False,
    requantize: Requantize = False,
    dry_run: DrySample = None,
    json: JSONRows = False,
    metrics: Metrics = None,
    engine: EngineOption = "local",
) -> None:
    """Write images as ordinary .jpg files with a preset's tables.

    A folder of tar (webdataset) or Parquet (Hugging Face) files becomes one of the same files.

    With --network: for each image the smallest file found that keeps the network's answer.
    """
    # Only what is asked for: the manifest of a plain run names nothing else.
    options: dict[str, Any] = {} if header == "jfif" else {"header": header}
    options |= {"progressive": True} if progressive else {}
    options |= {} if metadata else {"metadata": False}
    from softjpeg.corpus.sources import SourceRules

    color: Any = numbers("--background", background)
    words: Any = {"name_collision": name_collision, "truncated": truncated}
    rules = SourceRules(follow_links, background=color, **words)
    if json and reader:
        raise ValueError("--json writes lines of JSON alone: leave --reader out")
    watching = watching_of(max_failures, json, metrics)
    books: dict[str, Any] = {"retry": retry, "verify": verify, "watching": watching, "jobs": jobs}
    driver: dict[str, Any] = {"seed": seed, "rules": rules, "list_files": bool(network or reader)}
    driver |= books
    from softjpeg.jpeg.subsampling import parse_subsampling

    samplings = [] if subsampling is None else list(map(parse_subsampling, subsampling.split(",")))
    networks = [network_on_device(n) for n in dict.fromkeys([*(network or []), *(reader or [])])]
    if network:
        from softjpeg.cli.presets import stored_side
        from softjpeg.codec.closed_loop.judge import Judge
        from softjpeg.models.fidelity import parse_fidelity

        numbers_of_files = (max_pixels, max_source_bytes, max_frames, seconds, max_bytes, dry_run)
        check_for_networks(out, engine, keep_smaller or requantize, *numbers_of_files)
        summary = encode_for_networks(
            Path(images),
            Path(out),
            Judge(tuple(networks[: len(set(network))]), parse_fidelity(keep), average),
            specs=preset or ["default"],
            qualities=numbers("--quality", quality or _LADDER),
            samplings=samplings,
            short_sides=[] if short_side is None else list(map(stored_side, short_side.split(","))),
            center=center,
            effort=effort,
            batch_size=batch_size,
            mode=mode.value,
            **options,
            **driver,
        )
    else:
        from softjpeg.cli.presets import load_tables, stored_as
        from softjpeg.corpus.dry_run import dry_run as run_dry
        from softjpeg.corpus.folders import encode_files
        from softjpeg.corpus.samples import Encoder
        from softjpeg.corpus.shard_search import holds_shards
        from softjpeg.corpus.shards import encode_shards

        tables = load_tables(preset or [], quality, samplings, max_bytes)
        tables = stored_as(tables, short_side, center)
        options |= {"gray": True} if samplings == ["gray"] else {}
        if shards := holds_shards(images):
            check_for_shards(images, manifest or name_collision != "error" or bool(reader))
        else:
            check_for_folders(out, engine, manifest, retry, verify)
        limits = limits_of(bool(shards), max_pixels, max_source_bytes, max_frames, seconds)
        keeping = {"keep_smaller": keep_smaller, "requantize": requantize}
        encoder = Encoder(tables, mode.value, seed, rules, limits, options, **keeping)
        if dry_run is not None:
            report_dry_run(run_dry(images, encoder, dry_run, out), json)
            return
        if shards:
            report_shards(encode_shards(images, encoder, out, engine=engine, **books), json)
            return
        driver |= {"manifest": manifest, "limits": limits, "seconds": seconds, **keeping}
        summary = encode_files(
            Path(images), tables, Path(out), mode=mode.value, **options, **driver
        )
    report(summary, keep, json)
    if networks and summary.written + summary.done:
        report_readers(summary, networks, rules, jobs)
    if failed := len(summary.failures):
        total = summary.written + summary.done + failed
        typer.echo(f"softjpeg: {failed} of {total} images were not written", err=True)
        raise typer.Exit(3)
