"""``softjpeg encode``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import (
    EncoderMode,
    Images,
    Mode,
    Seed,
    app,
    sentence,
)


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
