"""EfficientNet-Lite0 in the loop of the encoder, without labels; other networks read the files.

    python benchmarks/network_in_the_loop.py --data FOLDER --out RESULT.json --cache SCRATCH

FOLDER holds imagenet_sample_1000.zip with its labels.csv. Nothing is learned: settings were chosen
on class index mod 5 == 3 and are reported on mod 5 == 4, 224x224 crops, Lite1 and Lite2 reading
them resized. Both sides: whole files with optimized Huffman tables, decoded by Pillow. No seeds:
nothing is drawn.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from j4d import _crop
from PIL import Image
from saliency import saliency_maps, salient_candidates
from torch import Tensor

from softjpeg import Preset, decode, encode
from softjpeg.codec.closed_loop.candidates import default_presets, preset_candidates
from softjpeg.codec.closed_loop.judge import Judge
from softjpeg.codec.closed_loop.repair import repaired_choices
from softjpeg.codec.closed_loop.search import EXHAUSTIVE, Choice, smallest_files
from softjpeg.common.files import write_atomically
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.inference import outputs_of
from softjpeg.models.network import Network, load_network
from softjpeg.models.resized import Resized
from softjpeg.report.environment import environment

NETWORKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1.1")
DEFAULTS = (5, 8, 14, 25, 95)
COARSE = (5, 8, 12, 18, 25, 35, 50, 65, 75, 85, 95)
FINE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 31, 35, 40, 45, 50)
FINE += (60, 70, 80, 90, 95)
FEW = (5, 8, 12, 16, 25)
SALIENT = (8, 10, 14, 18, 25)
SEARCH_BATCH = 50


def load(folder: Path, rest: int, limit: int) -> tuple[Tensor, Tensor]:
    with zipfile.ZipFile(folder / "imagenet_sample_1000.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("labels.csv"))))
        rows = [row for row in rows if int(row["label"]) % 5 == rest]
        rows = [rows[i * len(rows) // limit] for i in range(limit)] if limit else rows
        crops = [_crop(Image.open(io.BytesIO(archive.read(row["file"])))) for row in rows]
    x = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor([int(row["label"]) for row in rows])


def network(name: str) -> Network:
    """It reads the crops as they are, or resized."""
    found = load_network(name)
    found.module.to(memory_format=torch.channels_last).requires_grad_(False)
    assert found.size is not None
    module = found.module if found.size == (224, 224) else Resized(found.module, found.size)
    return replace(found, module=module.eval(), size=None, resize=None)


class Bench:
    """Files of all images, what networks make of them, and default JPEG at equal bytes beside."""

    def __init__(self, x: Tensor, y: Tensor, out: Path, cache: Path, facts: dict) -> None:
        self.x, self.y, self.out, self.cache, self.facts = x, y, out, cache, facts
        self.networks = {name: network(name) for name in NETWORKS}
        self.original = self.done("original", lambda: self.answers(x))
        self.rows: list[dict] = []
        self.default: list[dict] = []
        uncompressed = {n: float((a == y).float().mean()) for n, a in self.original.items()}
        self.facts["uncompressed top1"] = uncompressed
        print("uncompressed", uncompressed, flush=True)

    def done(self, name: str, make: Callable):
        """What an earlier run made, or make it: hours on a busy machine."""
        file = self.cache / f"{name.replace(' ', '-')}.pt"
        if not file.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            torch.save(make(), file)
        return torch.load(file, weights_only=False)

    def answers(self, images: Tensor) -> dict[str, Tensor]:
        return {n: outputs_of(w.module, images, 20).argmax(-1) for n, w in self.networks.items()}

    def row(self, name: str, files: Sequence[bytes]) -> dict:
        found = self.answers(torch.stack([decode(file).expand(3, -1, -1) for file in files]))
        read = {
            n: {
                "agree": float((a == self.original[n]).float().mean()),
                "top1": float((a == self.y).float().mean()),
            }
            for n, a in found.items()
        }
        return {"name": name, "bpp": bpp(files), "networks": read}

    def add_default(self, quality: int) -> None:
        name = f"default 4:2:0 q {quality}"

        def make() -> dict:
            return self.row(name, [encode(i, Preset.from_quality(quality)) for i in self.x])

        self.default.append(self.done(name, make))
        self.show(self.default[-1])

    def add(self, name: str, make: Callable[[], list[Choice]]) -> list[Choice]:
        def timed() -> tuple:
            begun = time.process_time()
            found = make()
            return found, (time.process_time() - begun) / len(found)

        choices, seconds = self.done(name, timed)
        row = self.done(f"{name} read", lambda: self.row(name, [c.data for c in choices]))
        row["kept"] = sum(choice.kept for choice in choices) / len(choices)
        row["runs per image"] = sum(choice.runs for choice in choices) / len(choices)
        row["processor seconds per image"] = seconds
        row["default at equal bytes"] = self.at(row["bpp"])
        self.rows.append(row)
        self.show(row)
        return choices

    def at(self, rate: float) -> dict[str, dict[str, float]]:
        """Default JPEG's agreement and top-1 at a rate, linear in it between qualities."""
        points = sorted(self.default, key=lambda row: row["bpp"])
        rates = [p["bpp"] for p in points]
        return {
            n: {
                key: float(np.interp(rate, rates, [p["networks"][n][key] for p in points]))
                for key in ("agree", "top1")
            }
            for n in NETWORKS
        }

    def show(self, row: dict) -> None:
        body = {**self.facts, "default": self.default, "variants": self.rows}
        write_atomically(self.out, (json.dumps(body, indent=1) + "\n").encode())
        beside = row.get("default at equal bytes", {})
        cells = [
            f"{n}: {r['agree']:.3f}/{r['top1']:.3f}"
            + (f" ({beside[n]['agree']:.3f}/{beside[n]['top1']:.3f})" if beside else "")
            for n, r in row["networks"].items()
        ]
        print(f"{row['name']:44s} {row['bpp']:.4f} bpp  " + "  ".join(cells), flush=True)


def bpp(files: Sequence[bytes]) -> float:
    return sum(len(file) for file in files) * 8 / len(files) / 224**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder of what is done already")
    parser.add_argument("--rest", type=int, default=4, help="class index mod 5")
    parser.add_argument("--limit", type=int, default=0, help="images, 0 for all")
    parser.add_argument("--passes", type=int, nargs="*", default=[8, 20])
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = load(options.data, options.rest, options.limit)
    facts = {
        "command": "python benchmarks/network_in_the_loop.py --data FOLDER --out RESULT.json "
        f"--cache SCRATCH --rest {options.rest} --limit {options.limit} --passes "
        + " ".join(map(str, options.passes)),
        "in the loop": NETWORKS[0],
        "keep": "top1",
        "images": len(x),
        **environment(),
    }
    bench = Bench(x, y, options.out, options.cache, facts)
    for quality in DEFAULTS:
        bench.add_default(quality)

    judge = Judge((bench.networks[NETWORKS[0]],), parse_fidelity("top1"))
    images = list(x)
    compact = {"header": "compact"}
    coarse = [preset_candidates(default_presets(COARSE))] * len(images)
    fine = [
        preset_candidates(default_presets(FINE), ["4:2:0"], **compact)
        + preset_candidates(default_presets(FEW), ["gray", "4:4:4"], **compact)
    ] * len(images)

    def search(name, ladders, judge=judge):
        def make() -> list[Choice]:
            found = []
            for start in range(0, len(images), SEARCH_BATCH):
                part = slice(start, start + SEARCH_BATCH)
                found += smallest_files(images[part], ladders[part], judge, effort=EXHAUSTIVE)
            return found

        return bench.add(name, make)

    def refine(name, found, passes, judge=judge):
        def make() -> list[Choice]:
            refined = []
            for start in range(0, len(images), SEARCH_BATCH):
                part = slice(start, start + SEARCH_BATCH)
                refined += repaired_choices(images[part], found[part], judge, passes)
            return refined

        return bench.add(f"{name}, repaired in {passes} passes", make)

    search("11 qualities", coarse)
    best = search("40 candidates", fine)
    first, *others = options.passes
    refine("40 candidates", best, first)
    both = Judge(tuple(bench.networks[n] for n in NETWORKS[:2]), parse_fidelity("top1"))
    agreed = search("40 candidates, Lite0 and Lite1", fine, both)
    presets = default_presets(SALIENT)
    salient = [
        ladder + salient_candidates(presets, saliency, [0.03, 0.1], **compact)
        for ladder, saliency in zip(fine, saliency_maps(judge, images), strict=True)
    ]
    search("50 candidates, 10 of them salient", salient)
    for passes in others:
        refine("40 candidates", best, passes)
    refine("40 candidates, Lite0 and Lite1", agreed, first, both)


if __name__ == "__main__":
    main()
