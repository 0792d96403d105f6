"""Figure 3 of JPEG-DL, decided: is the gain under attack robustness, or a masked gradient?

    python -m benchmarks.jpeg_dl_attacks untrained OUT.json --weights DIR --images FILE.npz \
        --sensitivities DIR [--limit 400]
    python -m benchmarks.jpeg_dl_attacks trained OUT.json NAME=RUN... --baseline RUN [--limit 200]
    python -m benchmarks.jpeg_dl_attacks page OUT.json [--plot FILE.svg]

`untrained` puts the layer at a published start in front of a ResNet-20 that was trained without
one; `trained` attacks runs of `softjpeg train` (NAME=RUN,RUN,RUN: its seeds). OUT.json gets a cell
after each attack, and the same command goes on where it was stopped. A cell says which images
stayed right: differences are paired, and the last row is the worst of all attacks on each image.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cifar_resnet import load
from benchmarks.fixed_jpeg import FixedJPEG, differentiable
from softjpeg.common.files import write_atomically
from softjpeg.evaluation.robustness.accuracy_under_attack import correct_under
from softjpeg.evaluation.robustness.attacks import Attack, bpda, fgsm, pgd
from softjpeg.evaluation.robustness.autopgd import autopgd
from softjpeg.evaluation.robustness.random_search import random_search
from softjpeg.evaluation.robustness.softened import softened
from softjpeg.nn.initial_tables import tables_from_sensitivity
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.report.environment import environment
from softjpeg.training.held_out import held_out_images
from softjpeg.training.published_sensitivity import read_sensitivity
from softjpeg.training.trained_network import load_run

STARTS = {
    "VGG-8's start": "cifar100/Y_vgg8.npy",
    "ResNet-56's start": "cifar100/Y_resnet56.npy",
    "VGG-13's start": "cifar100/Y_vgg13.npy",
    "a clipping start (CUB-200, ResNet-18)": "cub200/Y_resnet18.npy",
}


@dataclass(frozen=True)
class System:
    """What is attacked, and what the attack sees; the same network but for a real codec."""

    model: nn.Module
    seen: nn.Module


def attacks(eps: float, generator: torch.Generator) -> dict[str, Attack]:
    """The paper's two, then what an attacker would do; without transfer."""
    descend = partial(pgd, eps=eps, generator=generator)
    straight = partial(bpda, eps=eps, generator=generator)
    return {
        "FGSM": partial(fgsm, eps=eps),
        "PGD-5": partial(descend, steps=5),
        "PGD-50": partial(descend, steps=50),
        "PGD-20, 3 starts": partial(descend, steps=20, restarts=3),
        "BPDA FGSM": partial(straight, steps=1, step=eps, random_start=False),
        "BPDA PGD-5": partial(straight, steps=5),
        "BPDA PGD-50": partial(straight, steps=50),
        "softened PGD-50": partial(softened, eps=eps, steps=50, generator=generator),
        "random search": partial(random_search, eps=eps, queries=200, generator=generator),
        "AutoPGD": partial(autopgd, eps=eps, seed=0),
    }


TRANSFER = "transfer PGD-50"


def run(
    out: Path,
    systems: dict[str, Callable[[], System]],
    images: Tensor,
    labels: Tensor,
    *,
    baseline: nn.Module,
    eps: list[float],
    chosen: list[str],
    setting: dict[str, str],
) -> None:
    """Every cell that `out` does not have yet, cheap ones of all systems first."""
    body = json.loads(out.read_text()) if out.is_file() else {"cells": {}}
    if body.setdefault("setting", setting) != setting:
        sys.exit(f"{out} is of another setting: {body['setting']}")
    body["environment"] = dict(environment())
    cells = body["cells"]
    made: dict[str, System] = {}
    jobs = [("none", 0.0)] + [(attack, e) for e in eps for attack in chosen]
    for attack, strength in jobs:
        for name, make in systems.items():
            key = f"{name}|{attack}|{strength:g}"
            if key in cells:
                continue
            if name not in made:
                made[name] = make()
            system = made[name]
            started = time.perf_counter()
            generator = torch.Generator().manual_seed(0)
            known = attacks(strength / 255, generator)
            seen = baseline if attack == TRANSFER else system.seen
            function = known["PGD-50"] if attack == TRANSFER else known.get(attack)
            right = correct_under(system.model, images, labels, function, source=seen)
            cells[key] = "".join("01"[int(r)] for r in right)
            write_atomically(out, (json.dumps(body, indent=1) + "\n").encode())
            share = f"{100 * right.double().mean():5.1f} %"
            print(f"{share}  {key}  {time.perf_counter() - started:.0f} s", flush=True)


def chosen_of(
    systems: dict[str, Callable[[], System]], names: list[str] | None
) -> dict[str, Callable[[], System]]:
    unknown = [name for name in names or () if name not in systems]
    if unknown:
        sys.exit(f"--systems must be of {'; '.join(systems)}; got {unknown[0]!r}")
    return systems if names is None else {name: systems[name] for name in names}


def untrained(given: argparse.Namespace) -> None:
    network = load(20, given.weights).to(memory_format=torch.channels_last)
    data = np.load(given.images)
    images = torch.from_numpy(data["x"][: given.limit]).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(data["y"][: given.limit]).long()

    def behind(file: str) -> System:
        luma, chroma = tables_from_sensitivity(read_sensitivity(given.sensitivities / file))
        layer = JPEGLayer(luma, chroma, alpha=5.0, levels=127, window=5)
        model = nn.Sequential(layer, network)
        return System(model, model)

    systems: dict[str, Callable[[], System]] = {"nothing": lambda: System(network, network)}
    systems |= {name: partial(behind, file) for name, file in STARTS.items()}
    systems["a real JPEG file of quality 75"] = lambda: System(
        FixedJPEG(network, 75), differentiable(network, 75)
    )
    systems = chosen_of(systems, given.systems)
    setting = {
        "network": "ResNet-20 trained without a layer, CIFAR-10",
        "images": f"the first {given.limit} lossless CIFAR-10 training images",
    }
    run(
        given.out,
        systems,
        images,
        labels,
        baseline=network,
        eps=given.eps,
        chosen=given.attacks,
        setting=setting,
    )


def trained(given: argparse.Namespace) -> None:
    baseline = load_run(given.baseline, trust=True)
    held = held_out_images(baseline, limit=given.limit)
    systems: dict[str, Callable[[], System]] = {}

    def of_run(file: str) -> System:
        network = load_run(file, trust=True).network
        return System(network, network)

    for word in given.runs:
        name, _, files = word.partition("=")
        for seed, file in enumerate(files.split(",")):
            systems[f"{name}, seed {seed}"] = partial(of_run, file)
    systems["a real JPEG file of quality 75, seed 0"] = lambda: System(
        FixedJPEG(baseline.network, 75), differentiable(baseline.network, 75)
    )
    systems = chosen_of(systems, given.systems)
    setting = {
        "network": f"{baseline.recipe.model.name}, {baseline.recipe.name}",
        "images": f"{len(held)} test images, drawn with seed 0",
    }
    run(
        given.out,
        systems,
        held.pixels,
        held.labels,
        baseline=baseline.network,
        eps=given.eps,
        chosen=given.attacks,
        setting=setting,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("untrained", "trained", "page"))
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", nargs="*", metavar="NAME=RUN")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--sensitivities", type=Path)
    parser.add_argument("--baseline")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--eps", type=lambda text: [float(e) for e in text.split(",")])
    parser.add_argument("--attacks", type=lambda text: text.split(";"), help="with ; between")
    parser.add_argument("--systems", type=lambda text: text.split(";"), help="of them only these")
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    given.eps = given.eps or [1.0, 4.0]
    given.attacks = given.attacks or [*attacks(0.0, torch.Generator()), TRANSFER]
    if given.what == "page":
        from benchmarks.jpeg_dl_attacks_page import page

        page(given.out, given.plot)
    else:
        {"untrained": untrained, "trained": trained}[given.what](given)


if __name__ == "__main__":
    main()
