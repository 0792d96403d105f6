# /// script
# requires-python = ">=3.10"
# dependencies = ["softjpeg", "datasets"]
# ///
"""A Hugging Face data set whose images become smaller files: bytes in, bytes out.

python examples/hf_datasets.py
"""

from __future__ import annotations

import io
from typing import Any

from datasets import Dataset, Image
from PIL import Image as Pillow

import softjpeg

PRESET = softjpeg.load_preset("universal", quality=30)


def smaller(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its image encoded anew; `encode` reads the pixels that the bytes hold."""
    with Pillow.open(io.BytesIO(row["image"]["bytes"])) as picture:
        data = softjpeg.encode(picture, PRESET)
    return {"image": {"bytes": data, "path": None}}


def main() -> Dataset:
    """The data set with smaller files."""
    rows = []
    for i in range(4):
        buffer = io.BytesIO()
        Pillow.effect_noise((96, 64), 40 + i).convert("RGB").save(buffer, "png")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    data = Dataset.from_dict({"image": rows, "label": [*range(4)]})
    # decode=False: rows hold the files' bytes, and map stores what encode wrote, not pixels.
    data = data.cast_column("image", Image(decode=False))
    after = data.map(smaller)
    sizes = [sum(len(row["image"]["bytes"]) for row in part) for part in (data, after)]
    print(f"{sizes[0]} bytes became {sizes[1]}")
    return after


if __name__ == "__main__":
    main()
