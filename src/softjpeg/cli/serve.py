"""``softjpeg serve``."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from softjpeg.cli.app import commands
from softjpeg.cli.http_server import run_server


@commands.command()
def serve(
    preset: Annotated[
        list[str] | None,
        typer.Option(
            help="A preset or ladder that requests may name: NAME=FILE, a built-in name or "
            "default; default: all that are built in, and default."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine with --token-file only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token that requests must bear.")
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that encode; default: one for each core.")
    ] = (os.cpu_count() or 1),
    queue_mib: Annotated[
        int, typer.Option(help="Mebibytes of requests that are held at a time; then 429.")
    ] = 64,
    max_mib: Annotated[int, typer.Option(help="Mebibytes of an image's file.")] = 64,
    max_pixels: Annotated[int, typer.Option(help="Pixels of an image.")] = 89_478_485,
    max_frames: Annotated[int, typer.Option(help="Frames of an image.")] = 1000,
    seconds: Annotated[
        float, typer.Option(help="To encode an image; its process is then ended.")
    ] = 60.0,
) -> None:
    """Write images that come over HTTP as JPEG files: POST one to /v1/encode?preset=NAME."""
    from softjpeg.common.extras import import_extra

    for module in ("starlette", "pebble", "prometheus_client", "python_multipart"):
        import_extra(module, extra="serve")
    import_extra("uvicorn", extra="serve")
    from softjpeg.corpus.limits import Limits
    from softjpeg.corpus.service.app import make_app
    from softjpeg.corpus.service.settings import Settings

    token = "" if token_file is None else _token(token_file)
    if not token and not _is_loopback(host):
        raise ValueError(f"--host {host} is reached from other machines: give a --token-file")
    settings = Settings(
        _presets(preset),
        Limits(max_pixels, max_mib << 20, max_frames, seconds),
        token,
        workers,
        queue_mib << 20,
    )
    run_server(
        make_app(settings),
        host,
        port,
        stopped="stopped: every request that was begun is answered",
        failed=f"--host {host} --port {port}: the service did not start, see above",
    )


def _presets(given: list[str] | None) -> dict[str, str]:
    """By the names that requests use."""
    from softjpeg.presets.built_in import built_in
    from softjpeg.presets.loading import load

    if not given:
        return {name: name for name in (*built_in(), "default")}
    presets: dict[str, str] = {}
    for words in given:
        name, _, spec = words.rpartition("=")
        name = name or Path(spec).stem
        if name in presets:
            raise ValueError(f"--preset names {name} twice")
        if spec != "default":
            load(spec)
        presets[name] = spec
    return presets


def _token(path: Path) -> str:
    token = path.read_text().strip()
    if len(token) < 16 or not token.isascii() or not token.isprintable():
        raise ValueError(f"--token-file {path} must hold 16 or more characters of ASCII in a line")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
