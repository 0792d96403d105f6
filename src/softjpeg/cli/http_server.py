"""A web application served until it is stopped."""

from __future__ import annotations

from typing import Any


def run_server(app: Any, host: str, port: int, *, stopped: str, failed: str) -> None:
    """Serve an ASGI application by uvicorn, whose presence the caller has checked.

    Args:
        app: the application.
        host, port: where it listens.
        stopped: what an interrupt says.
        failed: what to say where it could not start.

    Raises:
        KeyboardInterrupt: with the words `stopped`.
        ValueError: with the words `failed`.
    """
    import uvicorn

    words: Any = {"host": host, "port": port, "access_log": False, "server_header": False}
    server = uvicorn.Server(uvicorn.Config(app, log_level="info", **words))
    try:
        server.run()
    except KeyboardInterrupt as stop:
        stop.args = (stopped,)
        raise
    if not server.started:
        raise ValueError(failed)
