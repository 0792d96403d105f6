"""Which regime the published starts of JPEG-DL land in.

python -m benchmarks.jpeg_dl_starts SENSITIVITIES IMAGES.npz [--limit 1000]

SENSITIVITIES has SET/{Y,Cb,Cr}_NETWORK.npy; IMAGES.npz an array x (N, H, W, 3) of uint8. Tables
with q_max = 10, α = 5, L = 127, as JPEG-DL starts.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from softjpeg.functional.transform import image_to_coefficients
from softjpeg.nn.initial_tables import tables_from_sensitivity
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.training.published_sensitivity import read_sensitivity
from softjpeg.training.regime import regime


def row(file: Path, images: Tensor) -> str:
    """A start as a line of the table."""
    luma, chroma = tables_from_sensitivity(read_sensitivity(file))
    layer = JPEGLayer(luma, chroma, alpha=5.0, levels=127, window=5)
    found = regime(layer, images)
    spread = image_to_coefficients(images, "4:4:4")[0].flatten(0, 2).std(0)
    tight = int((127 * luma < spread).sum())
    network = file.stem.removeprefix("Y_")
    return (
        f"| {file.parent.name} | {network} | {luma[0, 0]:.3g} | {luma.median():.2g} "
        f"| {5 * float(luma.median()) ** 2:.2g} | {tight} of 64 | {100 * found.dc_beyond:.0f} % "
        f"| {100 * found.beyond:.1f} % | {found.bpp:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sensitivities", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    given = parser.parse_args()
    pixels = np.load(given.images)["x"][: given.limit]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    print(
        "| data | network | luma DC step | median luma step | its hardness | bounds below one "
        "deviation | DC beyond | all beyond | bpp |\n" + "|---" * 9 + "|"
    )
    for file in sorted(given.sensitivities.glob("*/Y_*.npy")):
        print(row(file, images), flush=True)


if __name__ == "__main__":
    main()
