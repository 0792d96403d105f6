"""Kill a command at random moments, run it to its end, and compare with a run that nobody killed.

    python tests/chaos                 encode, learn, adapt and train, a few kills of each
    python tests/chaos --long          60 kills of each
    python tests/chaos --kills 5 --seed 3 --only encode
    python tests/chaos --kills 200 --images 2000 --only "encode shards"

A moment is a call that changes the disk (open for writing, flush, rename, unlink; of shards also
each image written), drawn from the seed: the kill comes before or after it, never by the clock.
Whatever has a file's name after a kill must be the whole file (a training run's files grow until it
ends), and no process may be left over. With Ray every other round kills its workers in place of the
command; their images are tried again by the run that follows.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from killed import survivors
from warm import SAID, run_forked

from helpers.adapting import NETWORK as READER
from helpers.images import photos

NETWORK = """
import torch
from torch import nn

def small():
    torch.manual_seed(0)
    net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
    net[-1].weight.data *= 20
    net.input_size = 16
    return net

def classifier(classes):
    norm = nn.BatchNorm2d(6)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), norm, nn.ReLU(), nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes))
"""

RECIPE = """
data = {name = "folder", root = "classes", size = 16}
model = {name = "net.py:classifier"}
jpeg = {init = "quality", quality = 50}
optimizer = {lr = 0.05}
train = {epochs = 3, batch_size = 4, checkpoint_every = 1}
"""

COMMANDS = {
    "encode": ("encode", "photos", "--preset", "default", "--quality", "20", "--manifest"),
    "encode --network": (
        *("encode", "photos", "--network", "net.py:small", "--quality", "5,20,60"),
        *("--batch-size", "4"),
    ),
    "encode shards": ("encode", "shards", "--preset", "default", "--quality", "20", "--jobs", "2"),
    "encode shards --engine ray": (
        *("encode", "shards", "--preset", "default", "--quality", "20", "--jobs", "2"),
        *("--engine", "ray"),
    ),
    "learn": (
        *("learn", "net.py:small", "photos", "--target-bpp", "3", "--subsampling", "4:4:4"),
        *("--batch-size", "6", "--crops"),
    ),
    "adapt": (
        *("adapt", "reader.py:small", "details", "--quality", "10..50", "--epochs", "8"),
        *("--learning-rate", "0.05", "--batch-size", "8"),
    ),
    "train": ("train", "recipe.toml", "--variant", "baseline,jpeg-dl"),
}
UNTIL_THE_END = ("manifest.jsonl", "last.safetensors", "best.safetensors")
"""Files that change until a command ends."""


def run(folder: Path, words: list[str], **told: object) -> int:
    """The exit status of a command that is killed at a change of the disk; KILL_AT 0 for at none.

    What is told, beside KILL_AT, are the other variables of `killed.py`.
    """
    environment = {**os.environ, "KILL_AT": "0", "OMP_NUM_THREADS": "1"}
    environment |= {"RAY_raylet_start_wait_time_s": "300"}
    environment |= {name: str(value) for name, value in told.items()}
    # Shards start processes by Python's own means, which are not for copies of a process.
    if "shards" not in words:
        return run_forked(folder, words, environment)
    # Whatever it starts writes to the same pipe, which ends with the last of them.
    with (folder / SAID).open("wb") as said:
        return subprocess.run(
            [sys.executable, Path(__file__).parent / "killed.py", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=1200,
            check=False,
        ).returncode


def run_to(allowed: tuple[int, ...], folder: Path, words: list[str], **told: object) -> None:
    """`run` to an exit status that is allowed; else what the command said is shown."""
    status = run(folder, words, **told)
    if status not in allowed:
        print((folder / SAID).read_text(errors="replace")[-4000:], file=sys.stderr)
        raise AssertionError(f"{' '.join(words)}: exit status {status}")


def words_for(name: str, out: str) -> list[str]:
    """A command that writes to a folder of its own."""
    if name in ("learn", "adapt"):
        file = "p.json" if name == "learn" else "a.safetensors"
        return [*COMMANDS[name], "--out", f"{out}/{file}", "--checkpoint", f"{out}/state"]
    return [*COMMANDS[name], "--out", out]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the checkpoint, which is no result, and the log, which tells times."""
    left_out = ("state", "log.jsonl")
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in left_out)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def check(name: str, kills: int, rng: random.Random, folder: Path) -> None:
    """Kill a command until it has been killed so often, each time going on; then compare."""
    (folder / "whole").mkdir()
    count = folder / "count"
    # One image in the shards is none.
    expected = 3 if "shards" in name else 0
    run_to((expected,), folder, words_for(name, "whole"), COUNT_IN=count)
    moments, whole = int(count.read_text()), contents(folder / "whole")
    done = round_ = 0
    while done < kills:
        out = f"out{round_}"
        (folder / out).mkdir()
        words = words_for(name, out)
        # Up to three kills, one after the other, then to the end.
        workers = name.endswith("ray") and round_ % 2 == 1
        for _ in range(rng.randint(1, 3)):
            started = folder / "started"
            told = {"STARTED_IN": started} | ({"KILL_WORKER": 1} if workers else {})
            allowed = expected, -signal.SIGKILL
            run_to(allowed, folder, words, KILL_AT=rng.randint(1, moments), **told)
            done += started.exists()
            if started.exists():
                left = survivors([int(word) for word in started.read_text().split()], 300)
                assert not left, f"{name}: {left} are left over"
                started.unlink()
            for path, data in contents(folder / out).items():
                file = Path(path).name
                # A worker's image is left out until the command is run again.
                if not (workers or file.startswith(".softjpeg") or file in UNTIL_THE_END):
                    assert whole.get(path) == data, f"{name}: {path} is not as without kills"
        run_to((expected,), folder, words)
        found = contents(folder / out)
        assert found.keys() == whole.keys(), f"{name}: {sorted(found.keys() ^ whole.keys())}"
        different = [path for path in whole if whole[path] != found[path]]
        assert not different, f"{name}: {different} are not as without kills"
        shutil.rmtree(folder / out)
        round_ += 1
    print(f"{name}: {done} kills at {moments} moments in {round_} rounds, all byte-equal")


def picture(seed: int) -> bytes:
    """A small PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((24, 20), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def write_sources(folder: Path, name: str, images: int) -> None:
    """What the commands read: photos, a network, and shards of which one image is none."""
    (folder / "net.py").write_text(NETWORK)
    for i in range(12):
        path = folder / "photos" / f"{'ab'[i % 2]}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
    (folder / "recipe.toml").write_text(RECIPE)
    for i in range(16):
        path = folder / "classes" / ("val" if i < 4 else "train") / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(i))
    if name == "adapt":
        from softjpeg.common.image_planes import picture_of

        (folder / "reader.py").write_text(READER)
        (folder / "details").mkdir()
        for i, image in enumerate(photos(48, 40, 0)):
            picture_of(image).save(folder / "details" / f"{i}.png")
    if "shards" not in name:
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "shards").mkdir()
    size = max(4, images // 20)
    for start in range(0, images - size, size):
        with tarfile.open(folder / "shards" / f"{start:06}.tar", "w") as archive:
            for i in range(start, start + size):
                data = b"no image" if i == 5 else picture(i)
                member = tarfile.TarInfo(f"{i:06}.png")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    rows = [{"bytes": picture(i), "path": f"{i}.png"} for i in range(size)]
    table = pa.table({"image": rows, "label": list(range(size))})
    pq.write_table(table, folder / "shards" / "rest.parquet", row_group_size=2)


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=4)
    options.add_argument("--long", action="store_true")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--images", type=int, default=12, help="in the shards")
    options.add_argument("--only", choices=COMMANDS)
    chosen = options.parse_args()
    # Ray takes a minute to start and to end: by its name alone.
    for name in [chosen.only] if chosen.only else [n for n in COMMANDS if "ray" not in n]:
        with tempfile.TemporaryDirectory() as scratch:
            write_sources(Path(scratch), name, chosen.images)
            kills = 60 if chosen.long else chosen.kills
            check(name, kills, random.Random(chosen.seed), Path(scratch))


if __name__ == "__main__":
    main()
