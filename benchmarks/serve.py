"""The service under load: many clients, some hostile, more requests than it can encode.

    python benchmarks/serve.py [--clients 100] [--hostile 5] [--seconds 60] [--workers 2]

Starts `softjpeg serve`, and prints as JSON: answers by status of good and of hostile clients, good
requests that failed or got other bytes than `softjpeg.encode` writes, latency of /livez and of 429
in milliseconds, and the memory of all its processes, second by second. A good client that is
answered 429 tries again when it is told to. Latencies are a prober's, in a process of its own: the
clients are threads of one process, and wait for each other.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import multiprocessing
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import softjpeg
from softjpeg.codec.adaptive_quality import load_for_images
from softjpeg.report.environment import environment

TARGET = "/v1/encode?preset=universal&quality=40"
QUEUE_MIB = 1


def picture(seed: int, side: int = 256) -> bytes:
    colors = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(colors).resize((side, side), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (16000, 12500)).save(buffer, "png")
    return buffer.getvalue()


class Load:
    """What clients saw."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.good: Counter[str] = Counter()
        self.hostile: Counter[str] = Counter()
        adaptive = load_for_images("universal", 40)
        self.images = [picture(seed) for seed in range(20)]
        self.files = [softjpeg.encode(Image.open(io.BytesIO(x)), adaptive) for x in self.images]
        self.bomb = bomb()

    def going(self) -> bool:
        return time.monotonic() < self.end

    def post(self, body: bytes) -> tuple[int, bytes]:
        return asked(self.port, "POST", TARGET, body)

    def good_client(self, seed: int) -> None:
        draw = random.Random(seed)
        while self.going():
            number = draw.randrange(len(self.images))
            try:
                status, data = self.post(self.images[number])
            except OSError as error:
                self.good[type(error).__name__] += 1
                continue
            if status == 429:
                time.sleep(1)
            right = status != 200 or data == self.files[number]
            self.good[str(status) if right else "other bytes"] += 1

    def hostile_client(self, seed: int) -> None:
        """Bombs, garbage, images that are cut off, and connections that never finish."""
        draw = random.Random(seed)
        while self.going():
            kind = draw.choice(["bomb", "garbage", "cut", "stalled"])
            try:
                if kind == "stalled":
                    self.stall()
                    self.hostile["stalled"] += 1
                    continue
                body = {"bomb": self.bomb, "garbage": draw.randbytes(5000)}
                status, _ = self.post(body.get(kind, self.images[0][:2000]))
                self.hostile[f"{kind} {status}"] += 1
            except OSError as error:
                self.hostile[f"{kind} {type(error).__name__}"] += 1
            time.sleep(0.05)

    def stall(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            head = f"POST {TARGET} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
            connection.sendall(f"{head}Content-Length: 30000\r\n\r\n".encode() + bytes(1000))
            time.sleep(2)


def asked(port: int, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, {"Content-Type": "image/png"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def probe(port: int, seconds: float, body: bytes, found: Any) -> None:
    """Puts milliseconds of /livez and of answers 429 into a queue, at the end."""
    live: list[float] = []
    busy: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for times, words in ((live, ("GET", "/livez")), (busy, ("POST", TARGET, body))):
            start = time.perf_counter()
            status, _ = asked(port, *words)
            if status == 429 or times is live:
                times.append(1000 * (time.perf_counter() - start))
        time.sleep(0.05)
    found.put((live, busy))


def memory_of(parent: int) -> int:
    """Bytes of a process and of its children, resident."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    pages = int(Path(f"/proc/{parent}/statm").read_text().split()[1])
    return 4096 * pages + sum(memory_of(int(child)) for child in children)


def shown(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"count": len(values)}
    cuts = statistics.quantiles(values, n=100)
    facts = {"p50": cuts[49], "p99": cuts[98], "max": max(values)}
    return {"count": len(values)} | {name: round(value, 1) for name, value in facts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for option, default in (("clients", 100), ("hostile", 5), ("seconds", 60), ("workers", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    words = ["--port", "0", "--workers", str(given.workers), "--queue-mib", str(QUEUE_MIB)]
    command = [sys.executable, "-m", "softjpeg", "serve", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stderr.readline, "")
        port = next(int(m[1]) for x in lines if (m := re.search(r"127.0.0.1:(\d+)", x)))
        # A pipe that nobody reads would stop the service once it is full.
        logged: list[str] = []
        reader = threading.Thread(target=lambda: logged.extend(lines))
        reader.start()
        load = Load(port, given.seconds)
        clients = [
            threading.Thread(
                target=load.hostile_client if number < given.hostile else load.good_client,
                args=[number],
            )
            for number in range(given.clients)
        ]
        found: Any = multiprocessing.get_context("spawn").Queue()
        prober = multiprocessing.get_context("spawn").Process(
            target=probe, args=(port, given.seconds, load.images[0], found)
        )
        prober.start()
        for client in clients:
            client.start()
        memory = []
        while load.going():
            memory.append(memory_of(process.pid) / 1e6)
            time.sleep(1)
        live_ms, busy_ms = found.get()
        for thread in (*clients, prober):
            thread.join()
        process.terminate()
        reader.join()
    third = len(memory) // 3
    facts = {
        "options": vars(given) | {"queue_mib": QUEUE_MIB},
        "good": dict(load.good),
        "hostile": dict(load.hostile),
        "images_per_second": round(load.good["200"] / given.seconds, 1),
        "livez_ms": shown(live_ms),
        "busy_ms": shown(busy_ms),
        "lines_logged": len(logged),
        "memory_mb": {
            "first_third_max": round(max(memory[:third])),
            "last_third_max": round(max(memory[-third:])),
        },
        "environment": environment(),
    }
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
