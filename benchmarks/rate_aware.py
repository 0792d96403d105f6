"""Both papers in one: network, tables and hardness trained for accuracy and for size, on CIFAR-10.

    python benchmarks/rate_aware.py --data FOLDER --out rate-aware.json [--seeds 0 1 2]

FOLDER holds cifar10_lossless_train4000.npz and cifar10_resnets/. Every row begins with ResNet-20 as
published and trains 5 epochs on 3000 lossless images with their labels, drawn by the seed; reported
on the 1000 others (all of them among those it was published with: mind the differences), real
4:4:4 files, optimized Huffman, decoded by Pillow.

* frozen: not trained at all, default JPEG;
* augmented: on default JPEG files of random qualities 5..95, default JPEG: the control;
* rate-aware LAMBDA: loss + LAMBDA·(bits per pixel of the scan) through a JPEG layer that starts at
  default tables of quality 50; the files are those of its own tables;
* own tables, augmented: the files of those tables, read by the augmented network: what the tables
  are worth alone.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from cifar_resnet import load
from torch import Tensor, nn
from torch.nn.utils import parametrize

from softjpeg import JPEGLayer, Preset, decode, encode
from softjpeg.common.files import write_text
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.report.environment import environment

LAMBDAS = (0.1, 0.6)
QUALITIES = (5, 10, 15, 20, 30, 40, 50, 60, 75, 90)
Loss = Callable[[Tensor, Tensor], Tensor]


def split(folder: Path, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images and labels to train on, and to report on."""
    data = np.load(folder / "cifar10_lossless_train4000.npz")
    order = torch.randperm(len(data["x"]), generator=torch.Generator().manual_seed(seed))
    x = torch.from_numpy(data["x"]).permute(0, 3, 1, 2).contiguous()[order]
    y = torch.from_numpy(data["y"]).long()[order]
    return x[:3000], y[:3000], x[3000:], y[3000:]


def trained(
    network: nn.Module, layer: JPEGLayer | None, loss: Loss, x: Tensor, y: Tensor, options
) -> None:
    """AdamW with a cosine; mirrored images."""
    random = torch.Generator().manual_seed(options.seed)
    groups = [{"params": list(network.parameters()), "lr": 1e-3}]
    if layer is not None:
        groups.append({"params": list(layer.parameters()), "lr": 0.03, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups)
    steps = options.epochs * -(-len(x) // 100)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / steps)) / 2
    )
    network.train()
    for _ in range(options.epochs):
        for places in torch.randperm(len(x), generator=random).split(100):
            batch = x[places]
            mirrored = torch.rand(len(batch), generator=random) < 0.5
            batch = torch.where(mirrored[:, None, None, None], batch.flip(-1), batch)
            optimizer.zero_grad()
            loss(batch, y[places]).backward()
            optimizer.step()
            schedule.step()
    network.eval()


class Exp(nn.Module):
    """Tables train by their logarithm: of raw steps 150 noisy gradients make a random walk."""

    def forward(self, logarithm: Tensor) -> Tensor:
        return logarithm.exp()

    def right_inverse(self, steps: Tensor) -> Tensor:
        return steps.log()


def augmented(x: Tensor, y: Tensor, options) -> nn.Module:
    network = load(20, options.data / "cifar10_resnets")
    random = np.random.default_rng(options.seed)

    def loss(batch: Tensor, labels: Tensor) -> Tensor:
        qualities = random.integers(5, 96, len(batch))
        files = [
            encode(image, Preset.from_quality(int(q), "4:4:4"), optimize=False)
            for image, q in zip(batch, qualities, strict=True)
        ]
        return F.cross_entropy(network(torch.stack([decode(f) for f in files]) / 255), labels)

    trained(network, None, loss, x, y, options)
    return network


def rate_aware(x: Tensor, y: Tensor, weight: float, options) -> tuple[nn.Module, Preset]:
    network = load(20, options.data / "cifar10_resnets")
    start = Preset.from_quality(50, "4:4:4")
    layer = JPEGLayer.from_preset(start, hardness=20.0, train_hardness=True)
    parametrize.register_parametrization(layer, "tables", Exp())

    def loss(batch: Tensor, labels: Tensor) -> Tensor:
        shown, bits = layer.forward_with_rate(batch / 255, rate="jpeg")
        return F.cross_entropy(network(shown), labels) + weight * bits / (32 * 32)

    trained(network, layer, loss, x, y, options)
    return network, layer.to_preset({"rate_weight": weight})


@torch.no_grad()
def point(network: nn.Module, x: Tensor, y: Tensor, preset: Preset) -> dict[str, float]:
    files = [encode(image, preset) for image in x]
    outputs = network(torch.stack([decode(file) for file in files]) / 255)
    pixels = len(x) * 32 * 32
    return {
        "bpp": 8 * sum(map(len, files)) / pixels,
        "scan_bpp": 8 * sum(map(scan_bytes, files)) / pixels,
        "top1": float((outputs.argmax(-1) == y).float().mean()),
        "cross_entropy": float(F.cross_entropy(outputs, y)),
    }


@torch.no_grad()
def on_originals(network: nn.Module, x: Tensor, y: Tensor) -> float:
    return float((network(x / 255).argmax(-1) == y).float().mean())


def run(options) -> dict[str, object]:
    """Curves of one seed: rows of points, by increasing rate."""
    x, y, held, labels = split(options.data, options.seed)
    defaults = [Preset.from_quality(q, "4:4:4") for q in QUALITIES]
    frozen, control = load(20, options.data / "cifar10_resnets"), augmented(x, y, options)
    curves = {
        "frozen": [point(frozen, held, labels, p) for p in defaults],
        "augmented": [point(control, held, labels, p) for p in defaults],
        "rate-aware": [],
        "own tables, augmented": [],
    }
    originals = {"augmented": on_originals(control, held, labels)}
    for weight in LAMBDAS:
        network, preset = rate_aware(x, y, weight, options)
        name = f"rate-aware {weight}"
        curves["rate-aware"].append({"lambda": weight, **point(network, held, labels, preset)})
        curves["own tables, augmented"].append(point(control, held, labels, preset))
        originals[name] = on_originals(network, held, labels)
        print(options.seed, name, curves["rate-aware"][-1], flush=True)
    return {"seed": options.seed, "curves": curves, "originals": originals}


def gains(runs: list[dict]) -> list[str]:
    """Each rate-aware point against curves of default JPEG, at equal bits of the scan."""
    lines = ["| λ | scan bpp | top-1 % | against frozen | against augmented | tables alone |"]
    lines.append("|---|---|---|---|---|---|")
    for k, weight in enumerate(LAMBDAS):
        own = [run["curves"]["rate-aware"][k] for run in runs]
        alone = [run["curves"]["own tables, augmented"][k]["top1"] for run in runs]
        differences = [
            [
                p["top1"] - at_rate(run["curves"][name], p["scan_bpp"])
                for p, run in zip(own, runs, strict=True)
            ]
            for name in ("frozen", "augmented")
        ]
        tables = [
            a - at_rate(run["curves"]["augmented"], p["scan_bpp"])
            for a, p, run in zip(alone, own, runs, strict=True)
        ]
        cells = [spread([100 * v for v in each], "+") for each in (*differences, tables)]
        rate, top1 = (spread([s * p[n] for p in own]) for n, s in (("scan_bpp", 1), ("top1", 100)))
        lines.append(f"| {weight} | {rate} | {top1} | {' | '.join(cells)} |")
    return lines


def at_rate(curve: list[dict], rate: float) -> float:
    """Top-1 of default JPEG at a rate, linear in its logarithm."""
    rates = np.log([p["scan_bpp"] for p in curve])
    return float(np.interp(np.log(rate), rates, [p["top1"] for p in curve]))


def spread(values: list[float], sign: str = "") -> str:
    deviation = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.2f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    runs = []
    for seed in options.seeds:
        options.seed = seed
        runs.append(run(options))
        facts = {"epochs": options.epochs, **environment()}
        write_text(options.out, json.dumps({"facts": facts, "runs": runs}, indent=1))
    print("\n".join(gains(runs)))


if __name__ == "__main__":
    main()
