"""J4D on held-out images: presets at three rates against default JPEG.

    python benchmarks/j4d.py cifar --data FOLDER --out docs/results/j4d-cifar.json
    python benchmarks/j4d.py imagenet --data FOLDER --out docs/results/j4d-imagenet.json

FOLDER holds cifar10_lossless_train4000.npz and cifar10_resnets/, or imagenet_sample_1000.zip with
its labels.csv. Both sides: same subsampling choice, optimized Huffman, files decoded by Pillow.
"""

from __future__ import annotations

import argparse
import csv
import io
import platform
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image

from softjpeg.evaluation import RatePoint, at_equal_bpp, at_equal_kl, evaluate, save_json
from softjpeg.learn import learn
from softjpeg.networks import load_efficientnet_lite0

QUALITIES = (8, 10, 12, 15, 18, 21, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95)


def cifar(folder: Path):
    """Learn on 3000 of 4000 lossless images for ResNet-20, 4:4:4; ResNet-56 reads the files too."""
    from cifar_resnet import load

    data = np.load(folder / "cifar10_lossless_train4000.npz")
    x = torch.from_numpy(data["x"]).permute(0, 3, 1, 2).contiguous()
    y = torch.from_numpy(data["y"]).long()
    networks = {f"ResNet-{d}": load(d, folder / "cifar10_resnets") for d in (20, 56)}
    split = (x[:3000], y[:3000], x[3000:], y[3000:])
    # Whole files of 32x32 pixels are mostly header: 2.47 bits per pixel of it.
    return networks, split, "4:4:4", [3.75, 4.35, 5.35], 250


def imagenet(folder: Path, limit: int):
    """Learn on class index mod 5 < 4 for EfficientNet-Lite0, 224x224 crops, 4:2:0."""
    with zipfile.ZipFile(folder / "imagenet_sample_1000.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"))))
        crops = [_crop(Image.open(io.BytesIO(archive.read(row["file"])))) for row in rows]
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    y = torch.tensor([int(row["label"]) for row in rows])
    learning = y % 5 < 4
    chosen = torch.nonzero(learning).flatten()
    chosen = chosen[:: max(1, len(chosen) // limit)][:limit]
    split = (x[chosen], y[chosen], x[~learning], y[~learning])
    # CPUs convolve twice as fast in this layout.
    network = load_efficientnet_lite0().module.to(memory_format=torch.channels_last)
    networks = {"EfficientNet-Lite0": network}
    return networks, split, "4:2:0", [0.35, 0.6, 1.0], 20


def _crop(image: Image.Image, resize: int = 256, size: int = 224) -> np.ndarray:
    image = image.convert("RGB")
    scale = resize / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def compare(points: list[RatePoint], title: str) -> None:
    """One line a preset: what default JPEG makes of the same rate, and needs for the same KL."""
    reference = [p for p in points if p.mode == "default"]
    print(f"\n{title}: uncompressed top-1 {points[0].top1:.3f}")
    print("preset          bpp  scan  top-1  agree     KL", end="")
    print(" | default at equal bytes: top-1, KL | rate at equal KL: file, scan")
    for p in points[1:]:
        if p.mode == "default":
            continue
        top1, kl = (at_equal_bpp(reference, p.bpp, field) for field in ("top1", "kl"))
        files = p.bpp / at_equal_kl(reference, p.kl) - 1
        scans = p.scan_bpp / at_equal_kl(reference, p.kl, "scan_bpp") - 1
        print(f"{p.name:12s} {p.bpp:6.3f} {p.scan_bpp:5.3f} {p.top1:6.3f}", end="")
        print(f" {p.agreement:6.3f} {p.kl:6.4f} | {top1:6.3f}", end="")
        print(f" ({100 * (p.top1 - top1):+.1f}) {kl:6.4f} | {files:+.1%} {scans:+.1%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["cifar", "imagenet"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=400, help="learning images of imagenet")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", type=float, nargs="*")
    options = parser.parse_args()
    loaded = (
        cifar(options.data) if options.task == "cifar" else imagenet(options.data, options.limit)
    )
    networks, (x, _, held, labels), subsampling, targets, batch = loaded
    first = next(iter(networks.values()))
    presets = {}
    for target in options.targets or targets:
        begun = time.perf_counter()
        presets[f"{target} bpp"] = preset = learn(
            first,
            x,
            subsampling=subsampling,
            target_bpp=target,
            rounds=options.rounds,
            batch_size=batch,
            seed=options.seed,
        )
        preset.save(options.out.with_suffix(f".{target}.preset.json"))
        figures = preset.provenance["learned"]
        seconds = time.perf_counter() - begun
        print(f"learned {target} bpp in {seconds:.0f} s: {figures}", flush=True)
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    for name, network in networks.items():
        points = evaluate(
            network,
            held,
            presets,
            labels=labels,
            qualities=[q for q in QUALITIES if options.task == "cifar" or q <= 60],
            subsampling=subsampling,
            batch_size=batch,
        )
        compare(points, f"{name} on {len(held)} held-out images, {subsampling}")
        facts = {
            "command": "python benchmarks/j4d.py " + " ".join(sys.argv[1:]),
            "network": name,
            "learned for": next(iter(networks)),
            "learning images": len(x),
            "held-out images": len(held),
            "seed": options.seed,
            "hardware": machine,
            "torch": torch.__version__,
            "Pillow": PIL.__version__,
        }
        save_json(points, options.out.with_suffix(f".{name}.json"), facts)


if __name__ == "__main__":
    main()
