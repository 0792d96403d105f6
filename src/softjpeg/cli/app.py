"""The application, and what its commands share: option types, checks, errors in one sentence."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class _Commands(TyperGroup):
    """Turns the errors a user can cause into one sentence, here and nowhere else."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except (ValueError, OSError, ImportError) as error:
            typer.echo(f"softjpeg: {sentence(error)}", err=True)
            raise typer.Exit(2) from error


class Subsampling(str, Enum):
    """Resolution of chroma."""

    s444 = "4:4:4"
    s422 = "4:2:2"
    s420 = "4:2:0"


class Mode(str, Enum):
    """How coefficients become integers."""

    hard = "hard"
    probabilistic = "probabilistic"
    rdo = "rdo"


class Form(str, Enum):
    """Encoders that tables can be exported for."""

    cjpeg = "cjpeg"
    imagemagick = "imagemagick"
    c = "c"


NetworkName = Annotated[
    str,
    typer.Argument(help="timm:NAME, timm:NAME@CHECKPOINT, FILE.py:FACTORY or efficientnet-lite0."),
]
Images = Annotated[Path, typer.Argument(help="A folder, an image, or a text file listing images.")]
Labels = Annotated[
    str | None, typer.Option(help='CSV with the columns file,label, or "folders" (class folders).')
]
Size = Annotated[int | None, typer.Option(help="Centre crop; default: the network's input size.")]
Resize = Annotated[
    int | None,
    typer.Option(help="Shorter side before the crop; default: the network's, none with --size."),
]
Limit = Annotated[int | None, typer.Option(help="Use a random subset of so many images.")]
BatchSize = Annotated[int, typer.Option(help="Images the network reads at once.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Chroma = Annotated[Subsampling, typer.Option(help="Resolution of chroma.")]
EncoderMode = Annotated[
    Mode,
    typer.Option(
        help="Round coefficients, draw them as the preset's hardness says, or decide them by what "
        "the network minds (rdo)."
    ),
]

app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Learn JPEG tables for a neural network, and write ordinary .jpg files with them.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import softjpeg

        typer.echo(f"softjpeg {softjpeg.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    # On a busy machine, threads that spin while they wait slow each other down.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def numbers(option: str, text: str) -> tuple[int, ...]:
    """An option's integers, given as 1,2,3."""
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be integers with commas between, got {text!r}") from None


def check_folder(option: str, file: Path) -> None:
    """Before hours of work, not after."""
    if not file.parent.is_dir():
        raise ValueError(f"{option} {file}: the folder {file.parent} does not exist")
    if file.is_dir():
        raise ValueError(f"{option} {file}: this is a folder, not a file")


def show(view: Any) -> None:
    """Print a rich renderable, in full width where the output is a file."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        # A file has no right edge to cut a table off at.
        console.width = max(console.width, 120)
    console.print(view)


def sentence(error: Exception) -> str:
    """An error on one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
