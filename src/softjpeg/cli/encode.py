"""``softjpeg encode``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softjpeg.cli.app import (
    BatchSize,
    EncoderMode,
    Images,
    Mode,
    Seed,
    commands,
    numbers,
    sentence,
    show,
)
from softjpeg.cli.load import network_on_device
from softjpeg.jpeg.subsampling import parse_subsampling

if TYPE_CHECKING:
    from softjpeg.corpus.folders import EncodeSummary
    from softjpeg.jpeg.subsampling import SubsamplingOrGray
    from softjpeg.models.network import Network

_LADDER = "5,8,12,16,20,25,30,40,50,60,75,85,95"
_PASSES = 8
_NETWORKS = "timm:NAME, FILE.py:FACTORY, a run, ...; may be repeated."


@commands.command()
def encode(
    images: Images,
    out: Annotated[Path, typer.Option(help="Folder for the .jpg files.")],
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
    effort: Annotated[
        str,
        typer.Option(
            help="all: from the smallest file upwards; N: halving the ladder, then down until N "
            "smaller files were tried in vain; repair[:PASSES]: as all, then coefficients changed "
            "along the network's gradient."
        ),
    ] = "all",
    reader: Annotated[
        list[str] | None, typer.Option(help=f"Report what it makes of the files: {_NETWORKS}")
    ] = None,
    manifest: Annotated[
        bool,
        typer.Option("--manifest", help="Keep a manifest, and skip what it says is done."),
    ] = False,
    batch_size: BatchSize = 32,
    jobs: Annotated[int, typer.Option(help="Images at a time; default: one for each core.")] = (
        os.cpu_count() or 1
    ),
    seed: Seed = 0,
) -> None:
    """Write images as ordinary .jpg files with a preset's tables.

    With --network: for each image the smallest file found that keeps the network's answer.
    """
    options: dict[str, Any] = {"mode": mode.value, "seed": seed, "jobs": jobs, "progress": True}
    # Only what is asked for: the manifest of a plain run names nothing else.
    options |= {} if header == "jfif" else {"header": header}
    options |= {"progressive": True} if progressive else {}
    options |= {} if metadata else {"metadata": False}
    samplings = [] if subsampling is None else list(map(parse_subsampling, subsampling.split(",")))
    networks = [network_on_device(n) for n in dict.fromkeys([*(network or []), *(reader or [])])]
    if network:
        specs, qualities = preset or ["default"], numbers("--quality", quality or _LADDER)
        judging = (networks[: len(set(network))], keep, average, effort, batch_size)
        summary = _archive(images, out, specs, qualities, samplings, judging, options)
    else:
        summary = _plain(images, out, preset or [], quality, samplings, manifest, options)
    _report(summary, keep)
    if networks and summary.written + summary.done:
        _report_readers(images, out, summary, networks, jobs)
    if failed := len(summary.failures):
        total = summary.written + summary.done + failed
        typer.echo(f"softjpeg: {failed} of {total} images were not written", err=True)
        raise typer.Exit(1)


def _plain(
    images: Path,
    out: Path,
    specs: list[str],
    quality: str | None,
    samplings: list[SubsamplingOrGray],
    manifest: bool,
    options: dict[str, Any],
) -> EncodeSummary:
    """One preset for all images."""
    from softjpeg.codec.adaptive_quality import AdaptiveQuality, load_for_images
    from softjpeg.corpus.folders import encode_files
    from softjpeg.presets.preset import Preset

    for option, given in (("--preset", specs), ("--subsampling", samplings)):
        if len(given) > 1 or (option == "--preset" and not given):
            raise ValueError(f"{option} takes one value without --network, got {len(given)}")
    number = None if quality is None else _one_quality(quality)
    if specs[0] == "default":
        if number is None:
            raise ValueError("default is libjpeg's tables: choose a --quality from 1 to 100")
        tables: Preset | AdaptiveQuality = Preset.from_quality(number)
    else:
        tables = load_for_images(specs[0], number)
    sampling = samplings[0] if samplings else tables.subsampling
    if sampling == "gray":
        options = {**options, "gray": True}
    elif sampling != tables.subsampling:
        if isinstance(tables, AdaptiveQuality):
            what = f"is learned for {tables.subsampling}, got --subsampling {sampling}"
            raise ValueError(f"{specs[0]} {what}")
        tables = replace(tables, subsampling=sampling)
    return encode_files(images, tables, out, manifest=manifest, **options)


def _archive(
    images: Path,
    out: Path,
    specs: list[str],
    qualities: tuple[int, ...],
    samplings: list[SubsamplingOrGray],
    judging: tuple[list[Network], str, bool, str, int],
    options: dict[str, Any],
) -> EncodeSummary:
    """For each image the smallest file found that keeps the networks' answers."""
    from PIL import Image

    from softjpeg.codec.closed_loop.candidates import named_presets, preset_candidates
    from softjpeg.codec.closed_loop.judge import Judge
    from softjpeg.corpus.archive import archive
    from softjpeg.corpus.folders import preset_sha256
    from softjpeg.models.fidelity import parse_fidelity

    networks, keep, average, effort, batch_size = judging
    steps, passes = _efforts(effort)
    if passes and options.get("progressive"):
        raise ValueError("--effort repair writes sequential files: leave --progressive out")
    presets = named_presets(specs, sorted(qualities))
    driver = {name: options.pop(name) for name in ("jobs", "progress")}
    seed = options.pop("seed")
    for candidate in preset_candidates(presets, samplings, seed=seed, **options):
        # Options that no image can be encoded with are refused before anything is written.
        candidate.encode(Image.new("L", (8, 8)))
    return archive(
        images,
        out,
        lambda image, own: preset_candidates(presets, samplings, seed=own, **options),
        Judge(tuple(networks), parse_fidelity(keep), average),
        settings={
            "presets": {name: preset_sha256(tables) for name, tables in presets.items()},
            "subsamplings": samplings,
            **options,
        },
        effort=steps,
        passes=passes,
        # The sizes of different families' files are in another order for every image.
        by_size=len(specs) > 1 or len(samplings) > 1,
        seed=seed,
        batch_size=batch_size,
        **driver,
    )


def _efforts(text: str) -> tuple[int, int]:
    """The search's effort, and the passes of a repair after it."""
    from softjpeg.codec.closed_loop.search import EXHAUSTIVE

    word, _, passes = text.partition(":")
    if text == "all":
        return EXHAUSTIVE, 0
    if text.isdecimal():
        return int(text), 0
    if word != "repair" or (passes and not passes.isdecimal()) or passes == "0":
        wanted = "a number of at least 0, all, repair or repair:PASSES"
        raise ValueError(f"--effort must be {wanted}, got {text!r}")
    return EXHAUSTIVE, int(passes or _PASSES)


def _one_quality(text: str) -> int:
    qualities = numbers("--quality", text)
    if len(qualities) != 1:
        raise ValueError(f"--quality takes one value without --network, got {text!r}")
    return qualities[0]


def _report(summary: EncodeSummary, keep: str) -> None:
    for path, error in summary.failures:
        text = sentence(error)
        typer.echo(f"softjpeg: {text if str(path) in text else f'{path}: {text}'}", err=True)
    share = f" ({summary.bytes_out / summary.bytes_in:.1%})" if summary.bytes_in else ""
    already = f" ({summary.done} done already)" if summary.done else ""
    typer.echo(
        f"{summary.written + summary.done} images{already}: {summary.bytes_in:,} bytes in, "
        f"{summary.bytes_out:,} bytes out{share}"
    )
    if searched := [facts for facts in summary.facts if "runs" in facts]:
        runs = sum(facts["runs"] for facts in searched) / len(searched)
        kept = sum(facts["kept"] for facts in searched)
        typer.echo(
            f"{kept} of {len(searched)} keep {keep}, the others are their best candidate's; "
            f"each network read {runs:.1f} files of an image"
        )


def _report_readers(
    images: Path, out: Path, summary: EncodeSummary, networks: list[Network], jobs: int
) -> None:
    """What networks make of the files, beside default JPEG."""
    from softjpeg.corpus.folders import output_files
    from softjpeg.corpus.readers import read_files, readings_table

    failed = {path for path, _ in summary.failures}
    pairs = [(job.path, job.target) for job in output_files(images, out) if job.path not in failed]
    quality, share, readings = read_files(networks, pairs, jobs=jobs)
    typer.echo(
        "networks' own answers for the images, kept by these files and by default JPEG 4:2:0 at "
        f"quality {quality} ({share:.0%} of their bytes):"
    )
    show(readings_table(readings))
