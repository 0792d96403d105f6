"""How far J4D's entropy estimate is from real bytes.

    python benchmarks/rate_bias.py PHOTOS [--count 50]

PHOTOS is a folder of photos; centre crops of 224x224. For default tables at qualities 5..95 it
prints the estimate over the bytes of the scan (optimized Huffman), and the exact Huffman count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from softjpeg import Preset, encode, read_coefficients
from softjpeg.codec import scan_bytes
from softjpeg.images import load_images
from softjpeg.rate import entropy_bits, scan_bits
from softjpeg.tables import quality_tables
from softjpeg.transform import image_to_coefficients


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    pixels = load_images(options.photos, size=224, resize=256, limit=options.count).pixels
    print(f"{len(pixels)} photos; estimate / bytes of the scan - 1, and that of the exact count")
    print("quality   4:4:4 entropy  exact   4:2:0 entropy  exact")
    for quality in range(5, 96, 5):
        luma, chroma = (torch.from_numpy(t).float() for t in quality_tables(quality))
        steps = (luma, chroma, chroma)
        line = f"{quality:7d}"
        for subsampling in ("4:4:4", "4:2:0"):
            z = image_to_coefficients(pixels / 255, subsampling, rounding=True)
            estimate = entropy_bits(z, steps, [1e4 / q**2 for q in steps]).item() / 8
            files = [encode(p, Preset.from_quality(quality, subsampling)) for p in pixels]
            real = np.mean([scan_bytes(f) for f in files])
            read = [read_coefficients(f).components for f in files]
            counts = [scan_bits(c, size=(224, 224), subsampling=subsampling) for c in read]
            line += f"{estimate / real - 1:+15.1%} {np.mean(counts) / 8 / real - 1:+6.1%}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
