"""``softjpeg qualities``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import (
    BatchSize,
    Chroma,
    FollowLinks,
    Labels,
    Limit,
    NetworkName,
    Resize,
    Seed,
    Size,
    Subsampling,
    commands,
    numbers,
)
from softjpeg.cli.load import load_inputs, provenance
from softjpeg.cli.outputs import check_outputs


@commands.command()
def qualities(
    network: NetworkName,
    out: Annotated[Path, typer.Option(help="The page to write (HTML).")],
    images: Annotated[
        Path | None, typer.Argument(help="Labelled images; default: a run's own test images.")
    ] = None,
    labels: Labels = None,
    quality: Annotated[
        str | None, typer.Option(help="Qualities, as 10,20,50; default: all from 1 to 100.")
    ] = None,
    subsampling: Chroma = Subsampling.s420,
    size: Size = None,
    resize: Resize = None,
    follow_links: FollowLinks = False,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    json: Annotated[Path | None, typer.Option(help="File for the numbers.")] = None,
) -> None:
    """One JPEG quality for all images, and all qualities for one image (JPEG-DL's opening)."""
    check_outputs({"--out": out, "--json": json}, [network, images, labels])
    from softjpeg.common.files import write_text
    from softjpeg.evaluation.qualities import save_json, sweep_qualities
    from softjpeg.report.quality_page import quality_page

    net, loaded = load_inputs(
        network, images, labels, size, resize, limit, seed, follow_links=follow_links
    )
    if loaded.labels is None:
        raise ValueError("labels must be given (--labels): a CSV, or folders for class folders")
    sweep = sweep_qualities(
        net.module,
        loaded.pixels,
        loaded.labels,
        qualities=range(1, 101) if quality is None else numbers("--quality", quality),
        subsampling=subsampling.value,
        batch_size=batch_size,
        progress=True,
    )
    facts = provenance(net, images, loaded, seed)
    lines = {name: str(value) for name, value in facts.items()}
    page = quality_page(
        sweep, loaded.pixels, loaded.names, title=f"{network} and JPEG's quality", facts=lines
    )
    write_text(out, page)
    if json is not None:
        save_json(sweep, json, facts)
    share = sweep.better().double().mean().item()
    typer.echo(
        f"top-1 {100 * sweep.original_top1():.1f} % on the images as given; best quality of each "
        f"image {100 * sweep.best_top1():.1f} %; some quality ranks the true label higher for "
        f"{100 * share:.1f} % of {len(loaded)} images"
    )
    typer.echo(f"wrote {out}")
