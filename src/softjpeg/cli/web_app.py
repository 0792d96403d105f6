"""``softjpeg app``; `softjpeg.cli.app` is the application that commands register with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.http_server import run_server

if TYPE_CHECKING:
    from softjpeg.presets.ladder import Ladder


@commands.command()
def app(
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="A classifier that may be asked, timm:NAME, FILE.py:FACTORY, ...; may be "
            "repeated; default: those that softjpeg[demo] brings."
        ),
    ] = None,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="A ladder, a file or built-in name; default: all that are built in."),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Of this machine alone; 0 for any that is free.")
    ] = 8001,
) -> None:
    """Open pictures in a browser: what networks make of their files at every quality, offline."""
    from softjpeg.common.extras import import_extra, remedy

    if not 0 <= port <= 65535:
        raise ValueError(f"--port must be from 0 to 65535, got {port}")
    import_extra("starlette", extra="app")
    import_extra("matplotlib", extra="app")
    import_extra("uvicorn", extra="app")
    from softjpeg.app.readers import Readers, embedded
    from softjpeg.app.server import make_app
    from softjpeg.cli.load import network_on_device

    names = list(dict.fromkeys(network or embedded()))
    if not names:
        raise ValueError(f"no network is installed: name one with --network, or {remedy('demo')}")
    served = make_app(_ladders(preset), Readers(names, network_on_device))
    run_server(
        served,
        "127.0.0.1",
        port,
        stopped="stopped: no picture is kept",
        failed=f"--port {port}: the app did not start, see above",
    )


def _ladders(given: list[str] | None) -> dict[str, Ladder]:
    """By what the command line calls them."""
    from softjpeg.presets.built_in import built_in
    from softjpeg.presets.ladder import Ladder
    from softjpeg.presets.loading import load

    ladders: dict[str, Ladder] = {}
    for spec in given or built_in():
        loaded = load(spec)
        if isinstance(loaded, Ladder):
            ladders[spec] = loaded
        elif given:
            raise ValueError(f"--preset {Path(spec)} is one preset: the slider needs a ladder")
    return ladders
