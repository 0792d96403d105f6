"""How many images at which rate a budget of bytes should hold, for a classifier trained on them.

    python benchmarks/training_budget.py ARCHIVES [--images 4000] [--seeds 2] [--judged 1000]
        [--preset universal] [--out FILE.json]

ARCHIVES holds tiny_imagenet_train50_val.zip: images of 64x64 in 200 classes to choose from, and
validation images to judge on. The budget is what all of them take at the lowest quality; at every
other one, as many as fit, drawn by the seed. What is trained is a linear classifier on the means of
SqueezeNet 1.1's last features, frozen: the last layer of a fine-tuned network. Its weight decay is
the best of three on a fifth of the training images. Files have compact headers and Huffman tables
of their own.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from softjpeg import decode, encode, load_preset
from softjpeg.common.files import write_atomically
from softjpeg.models.network import load_network
from softjpeg.report.environment import environment

QUALITIES = (5, 15, 40, 90)
DECAYS = (1e-3, 1e-2, 1e-1)


def images_of(archives: Path, split: str, count: int) -> tuple[list[np.ndarray], Tensor]:
    """RGB arrays of some images and their classes, drawn from the list of the split."""
    pixels, labels = [], []
    with zipfile.ZipFile(archives / "tiny_imagenet_train50_val.zip") as archive:
        listing = csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"), "utf-8"))
        rows = [row for row in listing if row["split"] == split]
        for i in np.random.default_rng(0).permutation(len(rows))[:count]:
            image = Image.open(io.BytesIO(archive.read(rows[i]["file"]))).convert("RGB")
            pixels.append(np.asarray(image))
            labels.append(int(rows[i]["label"]))
    return pixels, torch.tensor(labels)


@torch.no_grad()
def features(network: nn.Module, images: Sequence[Tensor]) -> Tensor:
    """(N, 512) means of the last feature maps of uint8 (3, 64, 64)."""
    seen: list[Tensor] = []
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    # The classifier's own convolution comes after them.
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].mean((2, 3))))
    for start in range(0, len(images), 200):
        network(torch.stack(list(images[start : start + 200])).float() / 255)
    hook.remove()
    return torch.cat(seen)


def fitted(x: Tensor, y: Tensor, decay: float, classes: int) -> nn.Linear:
    """Multinomial logistic regression by L-BFGS."""
    layer = nn.Linear(x.shape[1], classes)
    nn.init.zeros_(layer.weight)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(layer(x), y)
        loss = loss + decay * layer.weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer


def right(layer: nn.Linear, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((layer(x).argmax(-1) == y).double().mean())


def trained(x: Tensor, y: Tensor, classes: int) -> tuple[nn.Linear, float]:
    """The classifier, and the weight decay that was best on every fifth image."""
    held = torch.arange(len(x)) % 5 == 0
    scores = {d: right(fitted(x[~held], y[~held], d, classes), x[held], y[held]) for d in DECAYS}
    decay = max(scores, key=lambda d: scores[d])
    return fitted(x, y, decay, classes), decay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archives", type=Path)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--judged", type=int, default=1000)
    parser.add_argument("--preset", default="universal")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = measured(options)
    if options.out:
        facts = {"preset": options.preset, "judged": options.judged, "rows": rows}
        body = json.dumps({"environment": environment(), **facts}, indent=1) + "\n"
        write_atomically(options.out, body.encode())


def measured(options: argparse.Namespace) -> list[dict[str, float]]:
    network = load_network("squeezenet1.1").module.eval()
    pixels, labels = images_of(options.archives, "train", options.images)
    judged, answers = images_of(options.archives, "val", options.judged)
    classes = int(labels.max()) + 1
    originals = features(network, [torch.tensor(x).permute(2, 0, 1) for x in judged])
    orders = [np.random.default_rng(seed).permutation(len(pixels)) for seed in range(options.seeds)]
    rows, budget = [], 0.0
    for quality in QUALITIES:
        preset = load_preset(options.preset, quality=quality)
        files = [encode(x, preset, header="compact") for x in pixels]
        mean = sum(map(len, files)) / len(files)
        budget = budget or mean * len(files)
        count = min(len(files), int(budget / mean))
        stored = features(network, [decode(encode(x, preset)) for x in judged])
        used = sorted({int(i) for order in orders for i in order[:count]})
        shown = features(network, [decode(files[i]) for i in used])
        known = dict(zip(used, shown, strict=True))
        for seed, order in enumerate(orders):
            x = torch.stack([known[int(i)] for i in order[:count]])
            middle, spread = x.mean(0), x.std(0) + 1e-6
            layer, decay = trained((x - middle) / spread, labels[order[:count]], classes)
            row = {
                "quality": quality,
                "seed": seed,
                "images": count,
                "bytes_per_image": round(mean, 1),
                "decay": decay,
                "top1_originals": right(layer, (originals - middle) / spread, answers),
                "top1_same_files": right(layer, (stored - middle) / spread, answers),
            }
            print(json.dumps(row), flush=True)
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
