# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg", "webdataset"]
# ///
"""A WebDataset shard with its images encoded anew.

python examples/webdataset_shards.py [FOLDER]
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import webdataset
from PIL import Image

import softjpeg

PRESET = softjpeg.load_preset("universal", quality=30)


def smaller(source: Path, target: Path) -> None:
    """Write a shard's samples with each .png as a .jpg, and the class beside it."""
    samples = webdataset.WebDataset(str(source), shardshuffle=False, empty_check=False)
    with webdataset.TarWriter(str(target)) as writer:
        for sample in samples:
            kept = {
                k: v for k, v in sample.items() if k not in ("png", "__url__", "__local_path__")
            }
            with Image.open(io.BytesIO(sample["png"])) as picture:
                writer.write({**kept, "jpg": softjpeg.encode(picture, PRESET)})


def main(folder: Path) -> Path:
    """Make a shard, and a smaller one of it."""
    source, target = folder / "before.tar", folder / "after.tar"
    with webdataset.TarWriter(str(source)) as writer:
        for i in range(4):
            buffer = io.BytesIO()
            Image.effect_noise((96, 64), 40 + i).convert("RGB").save(buffer, "png")
            writer.write({"__key__": f"{i:04}", "png": buffer.getvalue(), "cls": str(i).encode()})
    smaller(source, target)
    print(f"{source.stat().st_size} bytes became {target.stat().st_size}")
    return target


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
