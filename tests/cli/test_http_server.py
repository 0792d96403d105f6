"""``softjpeg serve`` and ``app``: every option, said or not, reaches what is served."""

import os
from types import SimpleNamespace

import pytest

from helpers.calls import reached, spy
from helpers.commands import refusal
from helpers.small_folder import fill
from softjpeg.cli.http_server import run_server
from softjpeg.corpus.limits import Limits
from softjpeg.presets.built_in import built_in

for package in ("starlette", "uvicorn", "pebble", "prometheus_client", "python_multipart"):
    pytest.importorskip(package, reason="softjpeg[serve] is not installed")

MAKE = "softjpeg.corpus.service.app:make_app"
RUN = "softjpeg.cli.serve:run_server"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    (tmp_path / "token").write_text("sixteen letters.\n")


def test_the_service(folder, monkeypatch):
    (settings,), _ = reached(monkeypatch, MAKE, "serve")
    assert settings.presets == {name: name for name in (*built_in(), "default")}
    assert settings.limits == Limits(89_478_485, 64 << 20, 1000, 60.0)
    assert (settings.token, settings.workers) == ("", os.cpu_count())
    assert settings.queue_bytes == 64 << 20
    presets = ("--preset", "mine=preset.json", "--preset", "steps.json", "--preset", "d=default")
    bounds = ("--max-pixels", 5000, "--max-mib", 3, "--max-frames", 7, "--seconds", 2.5)
    more = ("--token-file", "token", "--workers", 5, "--queue-mib", 9)
    (settings,), _ = reached(monkeypatch, MAKE, "serve", *presets, *bounds, *more)
    assert settings.presets == {"mine": "preset.json", "steps": "steps.json", "d": "default"}
    assert settings.limits == Limits(5000, 3 << 20, 7, 2.5)
    assert (settings.token, settings.workers) == ("sixteen letters.", 5)
    assert settings.queue_bytes == 9 << 20


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ((), ("127.0.0.1", 8000)),
        (("--host", "localhost", "--port", 9), ("localhost", 9)),
        (("--host", "::1"), ("::1", 8000)),
        (("--host", "0.0.0.0", "--token-file", "token"), ("0.0.0.0", 8000)),
    ],
)
def test_where_the_service_listens(folder, monkeypatch, words, place):
    spy(monkeypatch, MAKE, lambda settings: "the service")
    given, options = reached(monkeypatch, RUN, "serve", *words)
    host, port = place
    assert given == ["the service", *place]
    assert options == {
        "stopped": "stopped: every request that was begun is answered",
        "failed": f"--host {host} --port {port}: the service did not start, see above",
    }


@pytest.mark.parametrize(
    ("token", "good"),
    [("x" * 16, True), ("x" * 15, False), ("x" * 15 + "é", False), ("xxxxxxxx\txxxxxxxx", False)],
)
def test_tokens(folder, monkeypatch, tmp_path, token, good):
    (tmp_path / "token").write_text(f" {token}\n", encoding="utf-8")
    words = ("serve", "--host", "example.org", "--token-file", "token")
    if good:
        assert reached(monkeypatch, MAKE, *words)[0][0].token == token
    else:
        assert refusal(*words) == (
            "--token-file token must hold 16 or more characters of ASCII in a line"
        )
    said = refusal(*words[:3])
    assert said == "--host example.org is reached from other machines: give a --token-file"


def test_the_app(folder, monkeypatch):
    pytest.importorskip("matplotlib", reason="softjpeg[app] is not installed")
    networks = ("--network", "net.py:small", "--network", "net.py:other")
    words = ("app", *networks, *networks[:2])
    (ladders, readers), _ = reached(monkeypatch, "softjpeg.app.server:make_app", *words)
    assert [*ladders] == [*built_in()]
    assert [*readers.names] == ["net.py:small", "net.py:other"]
    more = ("--preset", "steps.json", "--preset", "universal")
    (ladders, _), _ = reached(monkeypatch, "softjpeg.app.server:make_app", *words, *more)
    assert [*ladders] == ["steps.json", "universal"]
    spy(monkeypatch, "softjpeg.app.server:make_app", lambda *_: "the app")
    for port, more in ((8001, ()), (0, ("--port", 0)), (65535, ("--port", 65535))):
        given, options = reached(monkeypatch, "softjpeg.cli.web_app:run_server", *words, *more)
        assert given == ["the app", "127.0.0.1", port]
        assert options["failed"] == f"--port {port}: the app did not start, see above"
    for port in (-1, 65536):
        said = refusal(*words, "--port", port)
        assert said == f"--port must be from 0 to 65535, got {port}"


def test_no_network_at_all(folder, monkeypatch):
    spy(monkeypatch, "softjpeg.app.readers:embedded", list)
    assert refusal("app").startswith("no network is installed: name one with --network, or run")


class Server:
    """Instead of uvicorn's."""

    started, raises = True, None

    def __init__(self, config):
        self.config = config

    def run(self):
        if self.raises:
            raise self.raises


def test_a_server(monkeypatch):
    import uvicorn

    made = spy(monkeypatch, "uvicorn:Config", lambda app, **options: SimpleNamespace())
    monkeypatch.setattr(uvicorn, "Server", Server)
    words = {"stopped": "all is well", "failed": "it did not start"}
    run_server("an app", "127.0.0.1", 7, **words)
    assert made == [
        (
            ("an app",),
            {
                **{"host": "127.0.0.1", "port": 7, "log_level": "info"},
                **{"access_log": False, "server_header": False},
            },
        )
    ]
    monkeypatch.setattr(Server, "started", False)
    with pytest.raises(ValueError, match=r"^it did not start$"):
        run_server("an app", "127.0.0.1", 7, **words)
    monkeypatch.setattr(Server, "raises", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match=r"^all is well$"):
        run_server("an app", "127.0.0.1", 7, **words)
