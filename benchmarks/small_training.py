"""Images a second of small training: the loaders, and whole steps of ResNet-20 and VGG-8.

python -m benchmarks.small_training OUT.json DATA [--threads 2] [--images 2048] [--rounds 5]

DATA is the folder cifar10-q75 that small_data.py writes. Everything takes turns in one process, so
that other work on the machine meets all; medians and quartiles of the wall's clock.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.speed.timing import quartiles, take_turns
from softjpeg.common.files import write_atomically
from softjpeg.report.environment import environment
from softjpeg.training.build import build_network
from softjpeg.training.data.loader import Batch, batches
from softjpeg.training.data.memory import in_memory
from softjpeg.training.data.sources import open_split
from softjpeg.training.data.transforms import train_transform
from softjpeg.training.distributed import Group
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.state import new_state
from softjpeg.training.step import train_step

BATCH = 128
MEMORY, FILES, TORCHVISION = "in memory", "files", "torchvision's ImageFolder and transforms"


def loaders(data: Path) -> dict[str, Callable[[], Iterator[object]]]:
    """Batches of 128 augmented images, by name."""
    split = open_split("folder", data, train=True)
    decoded, transform = in_memory(split), train_transform(32)
    plain = v2.Compose(
        [
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    folder = ImageFolder(str(data / "train"), plain)
    shared = {"batch_size": BATCH, "epoch": 0, "seed": 0}
    return {
        MEMORY: lambda: batches(decoded, transform, **shared),
        FILES: lambda: batches(split, transform, **shared),
        TORCHVISION: lambda: iter(DataLoader(folder, BATCH, shuffle=True)),
    }


def step(network: str, precision: str, quantizer: str, batch: Batch) -> Callable[[], int]:
    """A training step, its batch at hand."""
    tree = {
        "data": {"name": "cifar10"},
        "model": {"name": f"cifar:{network}"},
        "jpeg": {"quantizer": quantizer, "alpha": 5.0},
        "optimizer": {"lr": 0.1},
        "train": {"epochs": 1, "batch_size": BATCH, "precision": precision},
    }
    recipe = parse_recipe(tree, "benchmark")
    state = new_state(build_network(recipe, 10), recipe)

    def run() -> int:
        train_step(state, state.model, [batch], recipe, 10, Group())
        return len(batch.labels)

    return run


def speeds(functions: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Quartiles of images a second, by name, of functions that say how many images they took."""
    images = {name: function() for name, function in functions.items()}
    times = take_turns(functions, rounds, limit_s=90)
    return {name: quartiles([images[name] / wall for wall, _ in t]) for name, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    named = loaders(given.data)

    def drain(name: str) -> Callable[[], int]:
        # In memory the whole epoch, whose start costs more than its batches.
        count = None if name == MEMORY else given.images // BATCH
        return lambda: BATCH * sum(1 for _ in islice(named[name](), count))

    loading = speeds({name: drain(name) for name in named}, given.rounds)
    batch = next(iter(named[MEMORY]()))
    assert isinstance(batch, Batch)
    steps = {
        f"{network}, {precision}, {layer}": step(network, precision, quantizer, batch)
        for network in ("resnet20", "vgg8")
        for precision in ("bf16", "float32")
        for layer, quantizer in (("no layer", "none"), ("JPEG-DL", "soft"))
    }
    body = {
        "environment": dict(environment()),
        "threads": given.threads,
        "loading, images a second": loading,
        "training steps, images a second": speeds(steps, given.rounds),
    }
    write_atomically(given.out, (json.dumps(body, indent=1) + "\n").encode())
    for title in ("loading, images a second", "training steps, images a second"):
        print(f"\n| {title} | median | quartiles |\n|---|---|---|")
        for name, (low, middle, high) in body[title].items():
            print(f"| {name} | {middle:.0f} | {low:.0f} to {high:.0f} |")
    ratio = loading[MEMORY][1] / loading[FILES][1]
    print(f"\nin memory: {ratio:.1f} times as many as from files")


if __name__ == "__main__":
    main()
