"""A reader that learned to read a ladder's files, on CIFAR-10: four curves on one axis.

    python benchmarks/adapt_cifar.py --data FOLDER --ladder LADDER --network ResNet-20 --folder RUN

FOLDER holds cifar10_lossless_train4000.npz and cifar10_resnets/. The network adapts, without
labels, on 3000 of the lossless images, once to default JPEG and once to the ladder's files by
trellis; RUN keeps both adapters (those that exist are read) and the points. Reported on every
second of the 1000 others, files with libjpeg's header, decoded by Pillow, against the better of
default 4:4:4 and 4:2:0 read by the frozen network.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapt import beside_frozen
from j4d import CIFAR, cifar
from torch import Tensor, nn

from softjpeg import AdaptiveQuality, Ladder
from softjpeg.adaptation.adapt import adapt
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter
from softjpeg.adaptation.judging import figures_table
from softjpeg.cli.app import show
from softjpeg.evaluation.encoders import preset_encoder
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import save_json
from softjpeg.report.environment import environment

HEADER = "jfif"


def adapter_to(
    ladder: Ladder | None, network: nn.Module, images: Tensor, options: argparse.Namespace
) -> Adapter:
    path = options.folder / f"{'default' if ladder is None else 'ladder'}.safetensors"
    if not path.exists():
        files: dict[str, Any] = {"qualities": (4, 97)}
        if ladder is not None:
            files |= {"preset": ladder, "mode": "rdo"}
        adapter = adapt(
            network,
            images,
            **files,
            train=options.train,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            batch_size=64,
            seed=options.seed,
            progress=True,
            provenance={"network": options.network},
        )
        adapter.save(path)
    return Adapter.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ladder", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="of adapters and points")
    parser.add_argument("--network", default="ResNet-20")
    parser.add_argument("--train", default="all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--every", type=int, default=2, help="judge on each so-many-th image")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    models, x, y, held = cifar(options.data, [options.network])
    network, ladder = models[options.network], Ladder.load(options.ladder)
    adapters = {
        "adapted to default JPEG": adapter_to(None, network, x[~held], options),
        "adapted to the ladder": adapter_to(ladder, network, x[~held], options),
    }
    for adapter in adapters.values():
        show(figures_table(adapter.provenance["figures"], adapter.provenance["loss"]))
    readers: dict[str, nn.Module] = {"frozen": network}
    readers |= {name: AdaptedNetwork(network, each) for name, each in adapters.items()}
    rdo = {"mode": "rdo", "header": HEADER}
    encoders = {
        "ladder": {
            f"ladder q {q}": preset_encoder(AdaptiveQuality(ladder, q), **rdo)
            for q in CIFAR["judge"]
        }
    }
    points = evaluate(
        readers,
        x[held][:: options.every],
        {},
        labels=y[held][:: options.every],
        qualities=CIFAR["default"],
        subsampling=CIFAR["reference"],
        encoders=encoders,
        seed=options.seed,
        batch_size=CIFAR["batch"],
        progress=True,
    )
    points, against = beside_frozen(points, CIFAR["reference"], options.seed)
    facts = {
        "network": options.network,
        "adapters": {name: dict(each.provenance) for name, each in adapters.items()},
        **environment(),
    }
    small = [replace(point, images=None) for point in points]
    save_json(small, options.folder / "points.json", facts, against, seed=options.seed)


if __name__ == "__main__":
    main()
