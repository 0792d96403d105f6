"""Shards of images: throughput beside a plain Pillow loop, and many tiny images.

    python benchmarks/corpus.py speed [--images 200] [--side 500] [--rounds 3]
    python benchmarks/corpus.py ray [--images 200] [--side 500] [--rounds 3]
    python benchmarks/corpus.py cpu [--images 60] [--side 500] [--rounds 3]
    python benchmarks/corpus.py many [--images 10000] [--shard 1000] [--folder FOLDER]

`speed`: images a second of two processes that decode, encode and write a tar file, beside as many
processes of a loop that does the same with Pillow alone; the two take turns, and a ratio is the
median over rounds. `ray`: the same of Ray's workers on this machine beside as many processes, both
started. `cpu`: CPU time of an image in one process, of both, which other work on the machine
changes less. `many`: an encode of tiny images of which 1 % are none: seconds to the first shard,
peak memory of all its processes, seconds of the same command once more, and of a retry of the
broken ones. A folder is kept: sources that are there are not written again, and an encode that was
interrupted goes on, whose seconds are then those of the rest. Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from softjpeg import Preset
from softjpeg.codec.adaptive_quality import load_for_images
from softjpeg.corpus.engine import Engine
from softjpeg.corpus.processes import processes
from softjpeg.corpus.ray_engine import ray_workers
from softjpeg.corpus.samples import Encoder, Row, encode_batch, encode_one
from softjpeg.corpus.tar_shards import encode_tar
from softjpeg.report.environment import environment

JOBS = 2


def picture(seed: int, side: int, kind: str = "jpeg") -> bytes:
    """A photo-like image: smooth colours and noise."""
    draw = np.random.default_rng(seed)
    colors = draw.integers(0, 256, (side // 20 + 2, side // 20 + 2, 3), dtype=np.uint8)
    smooth = Image.fromarray(colors).resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(smooth) + draw.normal(0, 6, (side, side, 3))
    file = io.BytesIO()
    options = {"quality": 92} if kind == "jpeg" else {}
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


def write_tar(path: Path, files: Iterator[tuple[str, bytes]]) -> None:
    """A tar file of these."""
    with tarfile.open(path, "w") as archive:
        add(archive, files)


def add(archive: tarfile.TarFile, files: Iterator[tuple[str, bytes]]) -> None:
    """Write files into a tar file."""
    for name, data in files:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def pillow_file(member: tuple[str, bytes]) -> tuple[str, bytes]:
    """What a plain loop makes of an image."""
    name, data = member
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(file, "jpeg", quality=40, subsampling=2, optimize=True)
    return name.rpartition(".")[0] + ".jpg", file.getvalue()


def members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a tar file."""
    with tarfile.open(path) as archive:
        for member in archive:
            yield member.name, archive.extractfile(member).read()  # type: ignore[union-attr]


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def encode_with(engine: Engine, source: Path, out: Path) -> None:
    """A tar file anew by softjpeg's own means."""
    with out.open("wb") as file:
        for row in encode_tar(source, file, engine):
            assert row.data is not None, row.facts


def rows_in_turns(
    files: Sequence[bytes], encoders: Mapping[str, Encoder]
) -> tuple[dict[str, list[Row]], dict[str, list[float]]]:
    """Rows of every file by each encoder, which take turns, and the CPU milliseconds of each."""
    rows: dict[str, list[Row]] = {name: [] for name in encoders}
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for data in files:
        for name, encoder in encoders.items():
            start = time.process_time()
            (row,) = encode_batch([("image", data)], encoder)
            times[name].append(1000 * (time.process_time() - start))
            assert row.data is not None, row.facts
            rows[name].append(row)
    return rows, times


def speed(images: int, side: int, rounds: int) -> dict[str, object]:
    """Images a second of softjpeg and of Pillow alone, for each kind of source."""
    found: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory() as scratch,
        multiprocessing.get_context("spawn").Pool(JOBS) as pool,
    ):
        out = Path(scratch, "out.tar")

        def plain(source: Path) -> None:
            with tarfile.open(out, "w") as archive:
                add(archive, pool.imap(pillow_file, members(source), 4))

        presets = {"hard": Preset.from_quality(40), "universal": load_for_images("universal", 40)}
        for kind in ("jpeg", "png"):
            source = Path(scratch, f"{kind}.tar")
            write_tar(source, ((f"{i}.{kind}", picture(i, side, kind)) for i in range(images)))
            for name, preset in presets.items():
                with processes(Encoder(preset), JOBS) as engine:
                    encode_with(engine, source, out)
                    plain(source)
                    pairs = [
                        (
                            seconds(lambda: plain(source)),  # noqa: B023
                            seconds(lambda: encode_with(engine, source, out)),  # noqa: B023
                        )
                        for _ in range(rounds)
                    ]
                found[f"{kind} {name}"] = {
                    "images_per_second": round(images / statistics.median(p[1] for p in pairs), 1),
                    "of_pillow": round(statistics.median(a / b for a, b in pairs), 3),
                    "of_pillow_rounds": [round(a / b, 3) for a, b in pairs],
                }
    return found


def ray(images: int, side: int, rounds: int) -> dict[str, object]:
    """Seconds of Ray's workers over those of processes."""
    encoder = Encoder(Preset.from_quality(40))
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch, "in.tar"), Path(scratch, "out.tar")
        write_tar(source, ((f"{i}.jpeg", picture(i, side)) for i in range(images)))
        with processes(encoder, JOBS) as local, ray_workers(encoder, JOBS) as remote:
            pairs = [
                [seconds(lambda: encode_with(engine, source, out)) for engine in (local, remote)]  # noqa: B023
                for _ in range(rounds + 1)
            ][1:]
    return {
        "of_processes": round(statistics.median(b / a for a, b in pairs), 3),
        "of_processes_rounds": [round(b / a, 3) for a, b in pairs],
    }


def cpu(images: int, side: int, rounds: int) -> dict[str, object]:
    """CPU milliseconds an image takes in this process, by softjpeg and by Pillow alone."""

    def milliseconds(call: Callable[[tuple[str, bytes]], object]) -> float:
        start = time.process_time()
        for file in files:
            call(file)
        return 1000 * (time.process_time() - start) / len(files)

    found: dict[str, object] = {}
    presets = {"hard": Preset.from_quality(40), "universal": load_for_images("universal", 40)}
    for kind in ("jpeg", "png"):
        files = [(f"{i}.{kind}", picture(i, side, kind)) for i in range(images)]
        for name, preset in presets.items():
            encoder = Encoder(preset)
            pairs = [
                (milliseconds(pillow_file), milliseconds(lambda f: encode_one(*f, encoder)))  # noqa: B023
                for _ in range(rounds + 1)
            ][1:]
            plain, ours = (
                round(statistics.median(column), 2) for column in zip(*pairs, strict=True)
            )
            ratios = [round(a / b, 3) for a, b in pairs]
            found[f"{kind} {name}"] = {
                "plain_ms": plain,
                "ms": ours,
                "of_pillow": statistics.median(ratios),
                "of_pillow_rounds": ratios,
            }
    return found


def memory_of(parent: int) -> int:
    """Bytes of a process and of its children, resident; what they share counts once."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        text = Path(f"/proc/{parent}/smaps_rollup").read_text()
    except OSError:
        return 0  # It has ended meanwhile.
    (pss,) = re.findall(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return 1024 * int(pss) + sum(memory_of(int(child)) for child in children)


def watched(words: list[str], out: Path) -> dict[str, float]:
    """Run a command: its seconds, those to the first shard, and its peak memory."""
    start, peak, first = time.perf_counter(), 0, 0.0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            if not first and next(out.glob("*.manifest.jsonl"), None):
                first = time.perf_counter() - start
            time.sleep(0.1)
    assert process.returncode == 3, process.returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts = {"seconds": time.perf_counter() - start, "first_shard": first}
    facts["cpu_seconds_without_workers"] = cpu
    facts["peak_mb"] = peak / 1e6
    return {name: round(value, 2) for name, value in facts.items()}


def many(images: int, shard: int, folder: Path) -> dict[str, object]:
    """An encode of tiny images, the same once more, and a retry of those that failed."""
    source, out = folder / "shards", folder / "out"
    source.mkdir(parents=True, exist_ok=True)
    tiny = [picture(i, 16, "png") for i in range(100)]
    for start in range(0, images, shard):
        path = source / f"{start:09}.tar"
        numbers = range(start, min(start + shard, images))
        if not path.exists():
            files = ((f"{i:09}.png", tiny[i % 100] if i % 100 else b"no image") for i in numbers)
            write_tar(folder / "part", files)
            (folder / "part").rename(path)
    preset = ["--preset", "default", "--quality", "40"]
    words = [sys.executable, "-m", "softjpeg", "encode", str(source), *preset]
    words += ["--out", str(out), "--jobs", str(JOBS)]
    found: dict[str, object] = {"encode": watched(words, out)}
    found["the same again"] = watched(words, out)
    found["--retry decode"] = watched([*words, "--retry", "decode"], out)
    for name in ("shards", "out"):
        sizes = (path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
        found[f"{name}_mb"] = round(sum(sizes) / 1e6, 1)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("subject", choices=["speed", "ray", "cpu", "many"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--folder", type=Path)
    for option, default in (("side", 500), ("rounds", 3), ("shard", 1000)):
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    if given.subject == "speed":
        found = speed(given.images or 200, given.side, given.rounds)
    elif given.subject == "ray":
        found = ray(given.images or 200, given.side, given.rounds)
    elif given.subject == "cpu":
        found = cpu(given.images or 60, given.side, given.rounds)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            found = many(given.images or 10_000, given.shard, given.folder or Path(scratch))
    load = round(os.getloadavg()[0], 1)
    facts = {"options": vars(given), "load": load, **found, **environment()}
    print(json.dumps(facts, indent=2, default=str))


if __name__ == "__main__":
    main()
