"""How long the runs of recipes take: a few steps on random images, extrapolated.

python benchmarks/recipe_time.py RECIPE... [--steps 3] [--batch 16] [--variant jpeg-dl]

On a CPU the time is this process's own, on one thread: that of one idle core, also on a busy
machine. On a GPU it is the wall's. Reading the images is not counted, nor the baseline that init =
"sensitivity" trains first. For the source "folder": --images TRAIN,TEST --classes N.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from softjpeg.report.environment import environment
from softjpeg.training.build import build_network
from softjpeg.training.data.loader import Batch
from softjpeg.training.distributed import Group
from softjpeg.training.recipe import Recipe
from softjpeg.training.recipe_file import load_recipe, parse_recipe
from softjpeg.training.state import new_state
from softjpeg.training.step import train_step
from softjpeg.training.variants import with_variant

SIZES = {
    "cifar10": (50_000, 10_000, 10),
    "cifar100": (50_000, 10_000, 100),
    "imagenet": (1_281_167, 50_000, 1000),
    "cub200": (5_994, 5_794, 200),
    "dogs": (12_000, 8_580, 120),
    "flowers102": (1_020, 6_149, 102),
    "pets": (3_680, 3_669, 37),
}
"""Images to train on, to test on, classes."""


def per_image(recipe: Recipe, classes: int, steps: int, batch: int) -> tuple[float, float]:
    """Seconds for an image in a training step, and in a test; after a step to warm up."""
    on_gpu = torch.cuda.is_available()
    group = Group(device=torch.device("cuda" if on_gpu else "cpu"))
    network = build_network(recipe, classes, pretrained=False).to(group.device)
    state = new_state(network, recipe)
    images = torch.rand(batch, 3, recipe.data.size, recipe.data.size)
    parts = [Batch(images, torch.arange(batch) % classes)]

    def step() -> None:
        train_step(state, state.model, parts, recipe, classes, group)

    @torch.no_grad()
    def test() -> None:
        state.model.eval()(images.to(group.device))

    return mean_time(step, steps, on_gpu) / batch, mean_time(test, steps, on_gpu) / batch


def mean_time(run: Callable[[], None], times: int, on_gpu: bool) -> float:
    run()
    clock = time.process_time
    if on_gpu:
        torch.cuda.synchronize()
        clock = time.perf_counter
    started = clock()
    for _ in range(times):
        run()
    if on_gpu:
        torch.cuda.synchronize()
    return (clock() - started) / times


def hours(recipe: Recipe, images: tuple[int, int], seconds: tuple[float, float]) -> float:
    """Of a whole run with its tests."""
    tests = -(-recipe.train.epochs // recipe.train.evaluate_every)
    return (recipe.train.epochs * images[0] * seconds[0] + tests * images[1] * seconds[1]) / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="at most; the recipe's where smaller")
    parser.add_argument("--variant", default="jpeg-dl")
    parser.add_argument("--images", help="TRAIN,TEST")
    parser.add_argument("--classes", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, value in environment().items():
        print(f"{name}: {value}")
    print(f"\n{'one run of ' + given.variant:40}  ms to train an image  ms to test   hours    runs")
    known: dict[tuple[object, ...], tuple[float, float]] = {}
    for path in given.recipes:
        recipe = parse_recipe(with_variant(load_recipe(path), given.variant), str(path))
        *images, classes = SIZES.get(recipe.data.name, (0, 0, given.classes))
        if given.images:
            images = [int(word) for word in given.images.split(",")]
        if not all(images):
            parser.error(f"{path}: data.name = {recipe.data.name!r} needs --images TRAIN,TEST")
        # The classifier's share is small: one measurement serves all data sets.
        key = recipe.model, recipe.jpeg, recipe.data.size, recipe.train
        if key not in known:
            batch = min(given.batch, recipe.train.batch_size)
            known[key] = per_image(recipe, classes, given.steps, batch)
        train, test = known[key]
        runs = sum(number.runs or 1 for number in recipe.expected.values())
        total = hours(recipe, (images[0], images[1]), (train, test))
        title = f"{path.parent.name}/{path.stem}"
        row = f"{1e3 * train:21.1f} {1e3 * test:11.1f} {total:7.2f} {runs:7}"
        print(f"{title:40} {row}", flush=True)


if __name__ == "__main__":
    main()
