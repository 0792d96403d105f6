"""``softjpeg demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import Seed, commands
from softjpeg.cli.outputs import check_output_folder


@commands.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it writes.")] = Path("softjpeg-demo"),
    seed: Seed = 0,
) -> None:
    """Learn, encode and evaluate on a few photos, offline, in minutes."""
    check_output_folder(out)
    from softjpeg.cli.demo_steps import run

    run(out, seed=seed)
