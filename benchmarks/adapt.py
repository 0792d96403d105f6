"""A reader that learned to read default JPEG, beside the frozen one, on photos of other classes.

    python benchmarks/adapt.py --data FOLDER --cache SCRATCH --adapter ADAPTER --out POINTS.json

FOLDER holds imagenet_sample_1000.zip with its labels.csv. EfficientNet-Lite0 adapts, without
labels, on photos of class index mod 5 < 4 at their own size (an ADAPTER that exists is read), and
is judged on those of mod 5 == 4: default 4:2:0 files, decoded by Pillow, read through the network's
own resize and crop, the strength from each file's tables; with `--preset NAME` also a ladder's
files, with `--center 0.9` those that store their centre alone whole, too. `--crops` adapts to
224x224 crops instead, or judges them where the adapter is there.
"""

from __future__ import annotations

import argparse
import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from j4d import _crop
from PIL import Image
from torch import Tensor

from softjpeg.adaptation.adapt import adapt
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter
from softjpeg.adaptation.judging import figures_table
from softjpeg.cli.app import show
from softjpeg.cli.presets import load_curves, with_centers
from softjpeg.common.image_files import ImageFiles
from softjpeg.common.image_sequence import Images
from softjpeg.common.image_set import from_image
from softjpeg.evaluation.gain import Gain, gains, gains_table
from softjpeg.evaluation.points import RatePoint, table
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import save_json
from softjpeg.models.network import Network, load_network
from softjpeg.report.environment import environment

QUALITIES = (8, 12, 18, 30, 50, 75, 90)


def photos(data: Path, cache: Path, rests: set[int], limit: int) -> tuple[ImageFiles, Tensor]:
    """Evenly over the classes; unpacked once."""
    cache.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "imagenet_sample_1000.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"))))
        rows = [row for row in rows if int(row["label"]) % 5 in rests]
        rows = [rows[i * len(rows) // limit] for i in range(limit)] if limit else rows
        paths = [cache / Path(row["file"]).name for row in rows]
        for row, path in zip(rows, paths, strict=True):
            if not path.exists():
                path.write_bytes(archive.read(row["file"]))
    return ImageFiles(paths), torch.tensor([int(row["label"]) for row in rows])


def as_read(network: Network, files: ImageFiles, crops: bool) -> tuple[torch.nn.Module, Images]:
    """What reads, and what it is given: photos behind resize and crop, or crops of its size."""
    if not crops:
        return network.reader, files
    cropped = [Image.fromarray(_crop(Image.open(path))) for path in files.paths]
    return network.module, torch.stack([from_image(crop) for crop in cropped])


def adapted(network: Network, options: argparse.Namespace) -> Adapter:
    if not options.adapter.exists():
        files, _ = photos(options.data, options.cache, {0, 1, 2, 3}, options.images)
        reader, images = as_read(network, files, options.crops)
        adapter = adapt(
            reader,
            images,
            train=options.train,
            epochs=options.epochs,
            learning_rate=options.learning_rate,
            seed=options.seed,
            checkpoint=options.adapter.with_suffix(".checkpoint"),
            progress=True,
            provenance={"network": network.name},
        )
        adapter.save(options.adapter)
    return Adapter.load(options.adapter)


def beside_frozen(
    points: Sequence[RatePoint], subsamplings: Sequence[str], seed: int
) -> tuple[list[RatePoint], list[Gain]]:
    """Each reader's curve beside the others', and its gains on default JPEG read by the frozen one.

    All answer for the frozen network on the original. Both are shown as tables.
    """
    named = [replace(p, curve=p.curve and f"{p.curve}, {p.reader}", reader="") for p in points]
    reference = [f"default {subsampling}, frozen" for subsampling in subsamplings]
    against = gains(named, reference=reference, seed=seed)
    show(table(named))
    show(gains_table(against, "against default JPEG read by the frozen network"))
    return named, against


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder for unpacked photos")
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--train", default="norm")
    parser.add_argument("--images", type=int, default=0, help="to adapt on, 0 for all 800")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--limit", type=int, default=0, help="to judge on, 0 for all 200")
    parser.add_argument("--qualities", type=int, nargs="+", default=QUALITIES)
    parser.add_argument("--preset", action="append", default=[], help="a ladder to judge, too")
    parser.add_argument("--center", type=float, help="also their centre alone, as encode's")
    parser.add_argument("--crops", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    network = load_network(options.network)
    network.module.to(memory_format=torch.channels_last)
    adapter = adapted(network, options)
    show(figures_table(adapter.provenance["figures"], adapter.provenance["loss"]))
    files, labels = photos(options.data, options.cache, {4}, options.limit)
    reader, images = as_read(network, files, options.crops)
    readers = {"frozen": reader, "adapted": AdaptedNetwork(reader, adapter)}
    ladders = with_centers(load_curves(options.preset, options.qualities), options.center)
    points = evaluate(
        readers, images, ladders, labels=labels, qualities=options.qualities, progress=True
    )
    points, against = beside_frozen(points, ["4:2:0"], options.seed)
    facts = {
        "network": network.name,
        "size": "224x224 crops" if options.crops else "each photo's own",
        "adapter": dict(adapter.provenance),
        "strength": adapter.strength.points,
        "fixed_strength": adapter.fixed_strength,
        **environment(),
    }
    save_json(points, options.out, facts, against, seed=options.seed)


if __name__ == "__main__":
    main()
