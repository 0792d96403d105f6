"""`softjpeg serve` as a process, over real connections."""

import http.client
import io
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from helpers.commands import refusal
from helpers.images import smooth_image

for package in ("starlette", "uvicorn", "pebble", "prometheus_client", "python_multipart"):
    pytest.importorskip(package, reason="softjpeg[serve] is not installed")

TARGET = "/v1/encode?preset=universal&quality=40"
HEADERS = {"Content-Type": "image/png"}


@contextmanager
def service(*words):
    """A running service and its port."""
    command = [sys.executable, "-m", "softjpeg", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen([*command, *map(str, words)], stderr=subprocess.PIPE, text=True)
    try:
        port = next(
            int(found[1])
            for line in process.stderr
            if (found := re.search(r"running on http://127.0.0.1:(\d+)", line))
        )
        yield process, port
    finally:
        process.kill()
        process.communicate()


def asked(port, target, body=None, headers=HEADERS):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET" if body is None else "POST", target, body, headers)
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer, read


def begun(port, data, arrives):
    """A connection that has sent the first bytes of an image, and reads its answer later."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST {TARGET} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    connection.sendall(f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode())
    connection.sendall(data[:arrives])
    return connection


def held(port):
    return float(re.search(rb"^softjpeg_held_bytes (.*)$", asked(port, "/metrics")[1], re.M)[1])


def png(height=100, width=200, **options):
    buffer = io.BytesIO()
    smooth_image(height, width).save(buffer, "png", **options)
    return buffer.getvalue()


def test_a_full_queue_answers_429_while_health_goes_on():
    large = png(400, 600, compress_level=0)
    assert len(large) > 600_000
    with service("--queue-mib", 1) as (_, port):
        first = begun(port, large, 500_000)
        while held(port) < 500_000:
            pass
        answer, words = asked(port, TARGET, large)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1"), words
        for path in ("/livez", "/readyz", "/metrics"):
            assert asked(port, path)[0].status == 200
        first.sendall(large[500_000:])
        assert b"200 OK" in first.makefile("rb").readline()
        first.close()
        answer, file = asked(port, TARGET, large)
        assert (answer.status, file[:2]) == (200, b"\xff\xd8")


def test_it_stops_when_what_was_begun_is_answered_but_not_for_clients_that_left():
    data = png()
    with service() as (process, port):
        first = begun(port, data, len(data) // 2)
        while held(port) < len(data) // 2:
            pass
        begun(port, data, 1).close()
        process.send_signal(signal.SIGTERM)
        said = ""
        while "Waiting for" not in said:
            said += process.stderr.readline()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        first.sendall(data[len(data) // 2 :])
        assert b"200 OK" in first.makefile("rb").readline()
        first.close()
        said += process.stderr.read()
        assert process.wait() == 128 + signal.SIGTERM
        assert "softjpeg: stopped: every request that was begun is answered" in said
        assert "Traceback" not in said


def test_a_token_file(tmp_path):
    (tmp_path / "token").write_text("a token of many letters\n")
    with service("--token-file", tmp_path / "token") as (_, port):
        assert asked(port, TARGET, png())[0].status == 401
        given = {"Authorization": "Bearer a token of many letters"}
        assert asked(port, TARGET, png(), HEADERS | given)[0].status == 200


def test_other_machines_need_a_token(tmp_path):
    assert "--token-file" in refusal("serve", "--host", "0.0.0.0")
    (tmp_path / "token").write_text("short")
    said = refusal("serve", "--host", "0.0.0.0", "--token-file", tmp_path / "token")
    assert "must hold 16 or more characters" in said


def test_presets_are_read_before_it_starts():
    assert "absent.json is neither a file" in refusal("serve", "--preset", "a=absent.json")
    words = ("--preset", "universal", "--preset", "universal=default")
    assert refusal("serve", *words) == "--preset names universal twice"


@pytest.mark.parametrize(
    ("option", "name"),
    [("--workers", "workers"), ("--queue-mib", "queue_bytes"), ("--seconds", "seconds")],
)
def test_limits_are_above_0(option, name):
    assert refusal("serve", option, "0").startswith(f"{name} must be above 0, got 0")
