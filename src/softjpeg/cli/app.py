"""The application, and what its commands share: option types, checks, errors in one sentence."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info

from softjpeg.cli.remarks import remarks_said
from softjpeg.common.interrupt import exit_status, terminated_like_interrupted

commands = typer.Typer()
"""Where commands register."""

_INTERRUPTED = "interrupted; what was written is whole, and the same command goes on or begins anew"

TRUSTED: ContextVar[tuple[Path, ...]] = ContextVar("trusted", default=())
"""Python files that the command line allows training runs to take their network from."""


def _registered() -> dict[str, Any]:
    """What typer knows of each command, by its name."""
    infos: list[Any] = commands.registered_commands
    return {info.callback.__name__: info for info in infos}


class _Built(Mapping[str, Any]):
    """Commands by name, built when they are asked for: typer takes long to read their options."""

    def __getitem__(self, name: str) -> Any:
        return get_command_from_info(
            _registered()[name],
            pretty_exceptions_short=True,
            rich_markup_mode=commands.rich_markup_mode,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(_registered())

    def __len__(self) -> int:
        return len(commands.registered_commands)


class _Group(TyperGroup):
    """Turns the errors a user can cause into one sentence, here and nowhere else."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Built()})

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                (name, inspect.cleandoc(info.callback.__doc__).partition("\n\n")[0])
                for name, info in _registered().items()
            )

    def invoke(self, ctx: Any) -> Any:
        # Names of files are bytes, which need not be text.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            with terminated_like_interrupted(), remarks_said():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt as stop:
            typer.echo(f"softjpeg: {str(stop) or _INTERRUPTED}", err=True)
            raise typer.Exit(exit_status(stop)) from None
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
Crops = Annotated[
    bool,
    typer.Option(
        "--crops",
        help="Crops of the size that the network reads, not photos at their own size; so with "
        "--size or --resize.",
    ),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Also links that lead out of a folder of images.")
]
Limit = Annotated[int | None, typer.Option(help="Use a random subset of so many images.")]
BatchSize = Annotated[int, typer.Option(help="Images the network reads at once.")]
Seed = Annotated[int, typer.Option(help="Of everything random.")]
Chroma = Annotated[Subsampling, typer.Option(help="Resolution of chroma.")]
EncoderMode = Annotated[
    Mode,
    typer.Option(
        help="Round coefficients, draw them as the preset's hardness says, or decide them by what "
        "the network is sensitive to (rdo)."
    ),
]

app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    # Rich's boxes would triple the time of this page; each command's own page has them.
    rich_markup_mode=None,
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
    trust: Annotated[
        list[Path] | None,
        typer.Option(help="A Python file that training runs may take their network from."),
    ] = None,
) -> None:
    TRUSTED.set(tuple(trust or ()))
    # On a busy machine, threads that spin while they wait slow each other down.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def numbers(option: str, text: str) -> tuple[int, ...]:
    """An option's integers, given as 1,2,3."""
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be integers with commas between, got {text!r}") from None


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
