"""JPEG sources by their own coefficients and through pixels: bytes, a network's answer, CPU time.

    python benchmarks/requantize.py PHOTOS [--images 100] [--qualities 20,30,50,75]

PHOTOS holds one photo of each class; of their sorted names those of index mod 5 == 4 are taken, up
to so many, evenly spread. Sources: the photos that are JPEGs as they are, in groups by their
subsampling, and the same decoded and written by Pillow at qualities 50, 75 and 95, 4:2:0. Each is
encoded twice with default JPEG's tables at every quality, 4:2:0: as by `softjpeg encode` with
`--requantize` and without, in one thread, the two taking turns.

KL is EfficientNet-Lite0's, from its answer on the source to its answer on the file, in nats, the
mean over images; `bytes_at_equal_kl` is the BD-rate of these means over the qualities, with an
interval of 1000 draws of images (null where a KL is 0). CPU time is of one
process, of checking the source, encoding and naming the file's digest. Prints JSON.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from corpus import rows_in_turns
from softjpeg import Preset
from softjpeg.codec.closed_loop.judge import network_input
from softjpeg.corpus.samples import Encoder
from softjpeg.evaluation.bd_rate import as_quality, bd_rate, front
from softjpeg.jpeg.info import read_info
from softjpeg.models.fidelity import kl
from softjpeg.models.inference import outputs_of
from softjpeg.models.network import Network, load_network
from softjpeg.report.environment import environment

MADE = (50, 75, 95)
WAYS = {"pixels": False, "coefficients": True}
DRAWS = 1000


def photos(folder: Path, count: int) -> list[bytes]:
    """Of the classes of index mod 5 == 4, so many."""
    paths = sorted(folder.iterdir())[4::5]
    return [paths[i * len(paths) // count].read_bytes() for i in range(min(count, len(paths)))]


def groups(files: list[bytes]) -> dict[str, list[bytes]]:
    """Sources by what they are."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for data in files:
        info = read_info(data)
        found[f"as they are, {info.subsampling}"].append(data)
    for quality in MADE:
        found[f"made at {quality}, 4:2:0"] = [remade(data, quality) for data in files]
    return found


def remade(data: bytes, quality: int) -> bytes:
    """The picture as Pillow writes it."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(file, "jpeg", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def answers(network: Network, files: list[bytes]) -> torch.Tensor:
    """What the network makes of files."""
    pictures = []
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            pictures.append(network_input(image, network))
    return outputs_of(network.module, pictures)


def encoded(sources: list[bytes], quality: int) -> dict[str, tuple[list[bytes], list[float], int]]:
    """By way the files, CPU milliseconds, and how many are of their own coefficients."""
    preset = Preset.from_quality(quality)
    encoders = {way: Encoder(preset, requantize=own) for way, own in WAYS.items()}
    rows, times = rows_in_turns(sources, encoders)
    return {
        way: (
            [row.data for row in made if row.data is not None],
            times[way],
            sum("requantized" in row.facts for row in made),
        )
        for way, made in rows.items()
    }


def compared(sources: list[bytes], qualities: list[int], network: Network) -> dict[str, object]:
    """Both ways at every quality, and at equal answers."""
    originals = answers(network, sources)
    points: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    sizes, losses, times = ({way: [] for way in WAYS} for _ in range(3))
    for quality in qualities:
        for way, (files, milliseconds, own) in encoded(sources, quality).items():
            loss = kl(answers(network, files), originals).numpy()
            sizes[way].append([len(file) for file in files])
            losses[way].append(loss)
            times[way].append(milliseconds)
            points[way].append(
                {
                    "quality": quality,
                    "bytes": round(float(np.mean(sizes[way][-1])), 1),
                    "kl": round(float(loss.mean()), 5),
                    "cpu_ms": round(float(np.mean(milliseconds)), 2),
                    "own": own,
                }
            )
    draws = np.random.default_rng(0).integers(0, len(sources), (DRAWS, len(sources)))
    rates = [gain(sizes, losses, draw) for draw in (np.arange(len(sources)), *draws)]
    known = [rate for rate in rates[1:] if np.isfinite(rate)] or [rates[0]]
    interval = [rates[0], *np.percentile(known, [2.5, 97.5])]
    both = {way: float(np.mean(times[way])) for way in WAYS}
    return {
        "images": len(sources),
        "bytes_in": round(float(np.mean([len(data) for data in sources])), 1),
        "cpu_ms": {way: round(value, 2) for way, value in both.items()},
        "bytes_at_equal_kl": [
            round(r, 4) if np.isfinite(r) else None for r in map(float, interval)
        ],
        "points": points,
    }


def gain(sizes: dict[str, list], losses: dict[str, list], chosen: np.ndarray) -> float:
    """Bytes more of coefficients than of pixels at equal KL of chosen images, as a share."""
    curves = {}
    for way in WAYS:
        rate = np.array(sizes[way])[:, chosen].mean(1)
        quality = as_quality(np.array(losses[way])[:, chosen].mean(1), "kl")
        curves[way] = front(rate, quality)
    exact = any((np.array(losses[way]).mean(1) == 0).any() for way in WAYS)
    return float("nan") if exact else float(bd_rate(curves["coefficients"], curves["pixels"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--qualities", default="20,30,50,75")
    given = parser.parse_args()
    torch.set_num_threads(1)
    qualities = [int(word) for word in given.qualities.split(",")]
    network = load_network("efficientnet-lite0")
    print(json.dumps(environment()))
    for name, sources in groups(photos(given.photos, given.images)).items():
        print(json.dumps({"sources": name, **compared(sources, qualities, network)}), flush=True)


if __name__ == "__main__":
    main()
