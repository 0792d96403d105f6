"""J4D on held-out images: a ladder learned for one network, against default JPEG.

    python benchmarks/j4d.py learn cifar --data FOLDER --ladder cifar.json
    python benchmarks/j4d.py judge cifar --data FOLDER --ladder cifar.json --out cifar.points.json

and `imagenet` likewise. FOLDER holds cifar10_lossless_train4000.npz and cifar10_resnets/, or
imagenet_sample_1000.zip with its labels.csv. Every file has Huffman tables of its own and is
decoded by Pillow; the reference is default JPEG, for CIFAR the better of 4:4:4 and 4:2:0
(their Pareto front).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from cifar_resnet import load as load_resnet
from PIL import Image
from torch import Tensor, nn

from softjpeg import AdaptiveQuality, Ladder, learn_ladder, measured_ladder
from softjpeg.codec.recode import recode
from softjpeg.evaluation.encoders import default_jpeg, each_recoded, preset_encoder
from softjpeg.evaluation.gain import gains, gains_table
from softjpeg.evaluation.points import table
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.results import save_json
from softjpeg.learning.size_exponent import measured_exponent
from softjpeg.models.network import load_network
from softjpeg.report.environment import environment

CIFAR = {
    "networks": ["ResNet-20", "ResNet-56"],
    "subsampling": "4:4:4",
    "learn": (10, 25, 45, 65, 80, 89, 94),
    "judge": (8, 15, 25, 40, 55, 70, 82, 90),
    "default": (4, 6, 8, 10, 12, 15, 20, 25, 32, 40, 48, 56, 64, 72, 78, 84, 88, 92, 95, 97),
    "reference": ("4:2:0", "4:4:4"),
    "batch": 250,
}
IMAGENET = {
    "networks": ["efficientnet-lite0"],
    "subsampling": "4:2:0",
    "learn": (6, 14, 30, 60),
    "judge": (5, 8, 12, 18, 27, 40, 58, 75),
    "default": (3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 48, 56, 64, 72, 80),
    "reference": ("4:2:0",),
    "batch": 25,
}


def cifar(folder: Path, names: list[str]) -> tuple[dict[str, nn.Module], Tensor, Tensor, Tensor]:
    """Networks, images, labels, and which of the 4000 lossless images are held out."""
    data = np.load(folder / "cifar10_lossless_train4000.npz")
    x = torch.from_numpy(data["x"]).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(data["y"]).long()
    models = {n: load_resnet(int(n.split("-")[1]), folder / "cifar10_resnets") for n in names}
    return models, x, y, torch.arange(len(x)) >= 3000


def imagenet(folder: Path, names: list[str]) -> tuple[dict[str, nn.Module], Tensor, Tensor, Tensor]:
    """Networks and 224x224 crops; held out is class index mod 5 == 4."""
    with zipfile.ZipFile(folder / "imagenet_sample_1000.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"))))
        crops = [_crop(Image.open(io.BytesIO(archive.read(row["file"])))) for row in rows]
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    y = torch.tensor([int(row["label"]) for row in rows])
    # CPUs convolve twice as fast in this layout.
    models = {n: load_network(n).module.to(memory_format=torch.channels_last) for n in names}
    return models, x, y, y % 5 == 4


def _crop(image: Image.Image, resize: int = 256, size: int = 224) -> np.ndarray:
    image = image.convert("RGB")
    scale = resize / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def learn(options: argparse.Namespace, plan: dict, models: dict, x: Tensor) -> None:
    begun, cpu = time.perf_counter(), time.process_time()

    def say(sentence: str) -> None:
        spent = f"{time.perf_counter() - begun:.0f} s, CPU {time.process_time() - cpu:.0f}"
        print(f"[{spent}] {sentence}", flush=True)

    chosen = [models[n] for n in options.networks or plan["networks"][:1]]
    settings = {"batch_size": plan["batch"], "seed": options.seed}
    presets = learn_ladder(
        chosen,
        x,
        qualities=plan["learn"],
        subsampling=options.subsampling or plan["subsampling"],
        mode=options.mode,
        checkpoint=options.checkpoint,
        say=say,
        **settings,
    )
    for preset in presets:
        print(preset.provenance["learned"], flush=True)
    exponent = measured_exponent(chosen, x[::2], presets, **settings)
    say(f"size exponent {exponent}")
    facts = {
        "command": "python benchmarks/j4d.py " + " ".join(sys.argv[1:]),
        "networks": options.networks or plan["networks"][:1],
        "images": f"{len(x)} of {options.task}",
        **environment(),
    }
    measured_ladder(presets, x, facts, size_exponent=exponent).save(options.ladder)


def judge(options: argparse.Namespace, plan: dict, models: dict, x: Tensor, y: Tensor) -> None:
    ladder, qualities = Ladder.load(options.ladder), plan["judge"]
    curves = {"hard": {f"hard q {q}": preset_encoder(ladder.at(q)) for q in qualities}}
    decided = ladder.rungs[0].distortion is not None
    smallest = {"mode": "rdo" if decided else "hard", "header": options.header}
    curves["rdo"] = {f"rdo q {q}": preset_encoder(ladder.at(q), **smallest) for q in qualities}
    if ladder.size_exponent < 1:
        curves["rdo, adaptive"] = {
            f"adaptive q {q}": preset_encoder(AdaptiveQuality(ladder, q), **smallest)
            for q in qualities
        }
    if options.curves:
        curves = {name: curve for name, curve in curves.items() if name in options.curves}
    if options.compact:
        own = default_jpeg(plan["default"], ladder.subsampling)
        named = {f"compact q {q}": encoder for q, encoder in own.items()}
        curves["default, compact header"] = each_recoded(named, partial(recode, header="compact"))
    points = evaluate(
        models,
        x,
        {},
        labels=y,
        qualities=plan["default"],
        subsampling=plan["reference"],
        encoders=curves,
        seed=options.seed,
        batch_size=plan["batch"],
        progress=True,
    )
    found = gains(points, seed=options.seed)
    facts = {
        "command": "python benchmarks/j4d.py " + " ".join(sys.argv[1:]),
        "ladder": dict(ladder.provenance),
        "size exponent": ladder.size_exponent,
        "held-out images": len(x),
        **environment(),
    }
    # What every single image cost is in no page: a tenth of the size without it.
    small = points if options.per_image else [replace(point, images=None) for point in points]
    save_json(small, options.out, facts, found, seed=options.seed)
    from rich.console import Console

    console = Console(width=160)
    console.print(table(points))
    console.print(gains_table(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["learn", "judge"])
    parser.add_argument("task", choices=["cifar", "imagenet"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ladder", type=Path, required=True)
    parser.add_argument("--networks", nargs="*", help="learned for, or judged by")
    parser.add_argument("--subsampling")
    parser.add_argument("--every", type=int, default=1, help="use each so-many-th image")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--out", type=Path, help="of judge: the points")
    parser.add_argument("--compact", action="store_true", help="give default JPEG our header too")
    parser.add_argument("--per-image", action="store_true", help="keep each image's figures")
    parser.add_argument("--mode", default="rdo", help="to learn for: hard or rdo")
    parser.add_argument("--header", default="compact", help="of rdo: jfif for the fewest scan bits")
    parser.add_argument("--curves", nargs="*", help="of hard, rdo and 'rdo, adaptive'")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--qualities", type=int, nargs="*", help="learned or judged at")
    options = parser.parse_args()
    plan, load = (CIFAR, cifar) if options.task == "cifar" else (IMAGENET, imagenet)
    if options.qualities:
        plan = {**plan, options.what: options.qualities}
    names = options.networks or plan["networks"][: 1 if options.what == "learn" else None]
    models, x, y, held = load(options.data, names)
    chosen = torch.nonzero(~held if options.what == "learn" else held).flatten()[:: options.every]
    if options.what == "learn":
        learn(options, plan, models, x[chosen])
    else:
        judge(options, plan, models, x[chosen], y[chosen])


if __name__ == "__main__":
    main()
