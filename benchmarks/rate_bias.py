"""How far the two rate estimates are from real files: J4D's entropy, and JPEG's own code.

    python benchmarks/rate_bias.py --data FOLDER [--photos 12] [--small 48] [--out FILE.json]

FOLDER holds imagenet_sample_1000.zip (224x224 crops of photos of every fifth class) and
cifar10_lossless_train4000.npz (32x32, the last images). Tables: default ones at qualities 5..95 and
the ladders of docs/results. Each file is compared with its estimate: mean of estimate / bytes - 1,
mean of its absolute value, and R². "hard" files are Pillow's, "probabilistic" ones are drawn at the
hardness of the preset (default tables: 20).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from softjpeg import Ladder, Preset, encode
from softjpeg.common.files import write_atomically
from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.rate.jpeg_bits import jpeg_bits
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.report.environment import environment

PRESETS = Path(__file__).parents[1] / "docs" / "results"
QUALITIES = range(5, 96, 10)
HARD = 1e4
Files = list[tuple[float, float, float]]
"""Per file its bytes, and what its code and its entropy lead one to expect."""


def photos(archive: Path, count: int) -> Tensor:
    """(count, 3, 224, 224) uint8: centre crops of photos of every fifth class."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".JPEG"))[4::5]
        crops = []
        for name in names[:: len(names) // count][:count]:
            photo = Image.open(io.BytesIO(file.read(name))).convert("RGB")
            scale = 256 / min(photo.size)
            photo = photo.resize([round(side * scale) for side in photo.size], Image.BICUBIC)
            left, top = ((side - 224) // 2 for side in photo.size)
            crops.append(np.array(photo.crop((left, top, left + 224, top + 224))))
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def estimates(pixels: Tensor, preset: Preset, mode: str, header: str) -> tuple[Files, list[float]]:
    """Each file beside its estimates, and the share of its scan that is stuffing."""
    size = (pixels.shape[-2], pixels.shape[-1])
    z = image_to_coefficients(pixels / 255, preset.subsampling, rounding=True)
    tables = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]
    hardness = torch.from_numpy(preset.hardness[[0, 1, 1]]).float()
    if mode == "hard":
        hardness = torch.full_like(hardness, HARD)
    alphas = [h / q**2 for h, q in zip(hardness, tables, strict=True)]
    with torch.no_grad():
        ours = jpeg_bits(
            z, tables, alphas, size=size, subsampling=preset.subsampling, header=header
        )
        # The entropy of one image's histogram alone would be too small: of all images together.
        entropy = entropy_bits(z, tables, alphas)
    coded = [encode(x, preset, mode, seed, header=header) for seed, x in enumerate(pixels)]
    start = float(ours.header.mean())
    found = [
        (float(len(data)), float(bits) / 8, float(entropy + start) / 8)
        for data, bits in zip(coded, ours.file, strict=True)
    ]
    scans = [data[-2 - scan_bytes(data) : -2] for data in coded]
    return found, [
        scan.count(b"\xff\x00") / (len(scan) - scan.count(b"\xff\x00")) for scan in scans
    ]


def judged(files: Files, estimate: int) -> dict[str, float]:
    """Mean error, mean absolute error, and R² of one of the estimates."""
    real, guess = np.array(files)[:, 0], np.array(files)[:, estimate]
    error = guess / real - 1
    r2 = 1 - ((guess - real) ** 2).sum() / ((real - real.mean()) ** 2).sum()
    return {"error": error.mean(), "absolute": np.abs(error).mean(), "r2": float(r2)}


def cases(subsamplings: tuple[str, ...], learned: str) -> Iterator[tuple[str, Preset]]:
    """Groups of presets by name."""
    for subsampling in subsamplings:
        for quality in QUALITIES:
            default = Preset.from_quality(quality, subsampling)
            hardness = np.full((2, 8, 8), 20.0)
            yield (
                f"default {subsampling}",
                Preset(default.luma, default.chroma, hardness, subsampling),
            )
    for rung in Ladder.load(PRESETS / f"{learned}.ladder.json").rungs:
        yield "learned", rung


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--small", type=int, default=48)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    small = np.load(options.data / "cifar10_lossless_train4000.npz")["x"][-options.small :]
    images = {
        "224x224": (photos(options.data / "imagenet_sample_1000.zip", options.photos), "imagenet"),
        "32x32": (torch.from_numpy(small).permute(0, 3, 1, 2).contiguous(), "cifar"),
    }
    rows, stuffing = [], []
    print(
        "images  tables         files                 | JPEG's code: error, absolute, R² | entropy"
    )
    for name, (pixels, learned) in images.items():
        for mode, header in (("hard", "jfif"), ("probabilistic", "jfif"), ("hard", "compact")):
            groups: dict[str, Files] = {}
            for group, preset in cases(("4:4:4", "4:2:0"), f"j4d-{learned}"):
                files, stuffed = estimates(pixels, preset, mode, header)
                groups.setdefault(group, []).extend(files)
                stuffing += stuffed
            for group, files in groups.items():
                code, entropy = judged(files, 1), judged(files, 2)
                line = f"{name:8s}{group:14s} {mode:13s} {header:8s}|"
                for x in (code, entropy):
                    line += f" {x['error']:+7.2%} {x['absolute']:6.2%} {x['r2']:.5f} |"
                print(line, flush=True)
                facts = {"images": name, "tables": group, "mode": mode, "header": header}
                rows.append({**facts, "files": len(files), "code": code, "entropy": entropy})
    print(f"stuffing: {np.mean(stuffing):.4%} of the bytes of a scan")
    if options.out:
        facts = {"command": "python " + " ".join(sys.argv), "environment": environment()}
        body = {**facts, "stuffing": np.mean(stuffing), "results": rows}
        write_atomically(options.out, (json.dumps(body, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
