"""J4D by backpropagation beside the measured method, on a network trained on lossless images.

    python benchmarks/j4d_backprop.py run --data FOLDER --out docs/results/j4d-backprop.json
    python benchmarks/j4d_backprop.py table --out docs/results/j4d-backprop.json

Each seed draws images to learn from and others to report on, out of the 4000 lossless CIFAR-10
images (ResNet-20 was trained on them: mind the differences, not the levels); 4:4:4. All methods are
given the bytes of default JPEG's files at three qualities on the learning images, and are reported
by real files of the others. `run` goes on with what --out lacks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.cifar_resnet import load as load_resnet
from softjpeg import Preset, learn_ladder
from softjpeg.common.files import write_atomically
from softjpeg.evaluation.encoders import preset_encoder
from softjpeg.evaluation.judging import judge
from softjpeg.learning.backpropagation import Backpropagation
from softjpeg.report.environment import environment

QUALITIES = (20, 51, 76)
"""Of default JPEG, near 1.0, 1.9 and 2.8 bits of the scan per pixel."""
METHODS = {
    "measured": "measured",
    "soft, entropy": Backpropagation(steps=60, learning_rate=0.06),
    "hard, entropy": Backpropagation(forward="hard", steps=60, learning_rate=0.06),
    "hybrid": Backpropagation("measured", "hard", steps=30, learning_rate=0.02),
    "hard, jpeg": Backpropagation(forward="hard", rate="jpeg", steps=60, learning_rate=0.06),
    "soft, jpeg": Backpropagation(rate="jpeg", steps=60, learning_rate=0.06),
}
"""The first is the package's default; the second what the paper describes."""
SUBSAMPLING = "4:4:4"


def images_of(folder: Path, seed: int, learn: int, report: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images to learn from, images to report on, and the labels of these."""
    data = np.load(folder / "cifar10_lossless_train4000.npz")
    order = torch.randperm(len(data["x"]), generator=torch.Generator().manual_seed(seed))
    x = torch.from_numpy(data["x"]).permute(0, 3, 1, 2).contiguous()
    held = order[learn : learn + report]
    return x[order[:learn]], x[held], torch.from_numpy(data["y"]).long()[held]


def reported(
    network: nn.Module, x: Tensor, y: Tensor, method: str, presets: dict[int, Preset]
) -> list[dict]:
    """Of every preset's real files: rounded, and as J4D's encoder writes them, drawn."""
    modes = ("hard",) if method == "default" else ("hard", "probabilistic")
    encoders = {
        f"{mode} {quality}": preset_encoder(preset, mode)
        for mode in modes
        for quality, preset in presets.items()
    }
    rows = []
    for point in judge(network, x, encoders, y, batch_size=100)[1:]:
        mode, quality = point.name.split()
        preset = presets[int(quality)]
        rows.append(
            {
                "method": method,
                "mode": mode,
                "quality": int(quality),
                "bpp": point.bpp,
                "scan_bpp": point.scan_bpp,
                "kl": point.kl,
                "top1": point.top1,
                "hardness": float(preset.hardness.mean()),
                "luma": preset.luma.tolist(),
                "chroma": preset.chroma.tolist(),
            }
        )
    return rows


def learned(
    network: nn.Module, seen: Tensor, method: str, qualities: tuple[int, ...], seed: int
) -> list[Preset]:
    """Presets at the rates of default JPEG's qualities on the learning images."""
    if method == "default":
        return [Preset.from_quality(quality, SUBSAMPLING) for quality in qualities]
    return learn_ladder(
        network,
        seen,
        qualities=qualities,
        subsampling=SUBSAMPLING,
        method=METHODS[method],
        batch_size=50,
        seed=seed,
        say=print,
    )


def run(options: argparse.Namespace) -> None:
    result = json.loads(options.out.read_text()) if options.out.exists() else {"rows": []}
    result["command"] = "python benchmarks/j4d_backprop.py run --data FOLDER --out FILE"
    result["facts"] = {"learn": options.learn, "report": options.report, **environment()}
    network = load_resnet(20, options.data / "cifar10_resnets").requires_grad_(False)
    done = {(row["method"], row["seed"], row["quality"]) for row in result["rows"]}
    for quality, seed, method in itertools.product(
        options.qualities, options.seeds, options.methods
    ):
        # Of these a ladder costs little more than a rate.
        whole = method in ("default", "measured")
        qualities = tuple(options.qualities) if whole else (quality,)
        if (method, seed, quality) in done:
            continue
        seen, held, labels = images_of(options.data, seed, options.learn, options.report)
        presets = learned(network, seen, method, qualities, seed)
        for row in reported(
            network, held, labels, method, dict(zip(qualities, presets, strict=True))
        ):
            print(method, seed, *[row[k] for k in ("mode", "scan_bpp", "kl", "top1")], flush=True)
            result["rows"].append({"seed": seed, **row})
            done.add((method, seed, row["quality"]))
        write_atomically(options.out, (json.dumps(result) + "\n").encode())


def table(options: argparse.Namespace) -> None:
    """Bits of the scan, KL and top-1 of every method: mean and deviation over seeds."""
    rows = json.loads(options.out.read_text())["rows"]
    methods = dict.fromkeys((row["method"], row["mode"]) for row in rows)
    print("| method | " + " | ".join(f"near q {q}" for q in QUALITIES) + " |\n" + "|---" * 4 + "|")
    for method, mode in methods:
        cells = []
        for quality in QUALITIES:
            own = [
                row
                for row in rows
                if (row["method"], row["mode"], row["quality"]) == (method, mode, quality)
            ]
            if not own:
                cells.append("")
                continue
            values = [[row[k] for row in own] for k in ("scan_bpp", "kl", "top1")]
            shown = [
                f"{statistics.mean(v):.3f}"
                + (f" ± {statistics.stdev(v):.3f}" if len(v) > 1 and i else "")
                for i, v in enumerate(values)
            ]
            cells.append(f"{shown[0]}: KL {shown[1]}, top-1 {shown[2]}")
        print(f"| {method}, {mode} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--qualities", type=int, nargs="*", default=list(QUALITIES))
    parser.add_argument("--methods", nargs="*", default=["default", *METHODS])
    parser.add_argument("--learn", type=int, default=400, help="images to learn from")
    parser.add_argument("--report", type=int, default=500, help="images to report on")
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    run(options) if options.what == "run" else table(options)


if __name__ == "__main__":
    main()
