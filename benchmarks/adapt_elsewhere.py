"""An adapted reader where it was not trained: other decoders, other tables, other images.

    python benchmarks/adapt_elsewhere.py --data FOLDER --cache SCRATCH --adapter A.safetensors \\
        --out elsewhere.json

The adapter is one of `benchmarks/adapt.py`: EfficientNet-Lite0, default 4:2:0 files, Pillow's
decoder. Photos of class index mod 5 == 4 at their own size; KL is from the frozen network's answer
on the uncompressed image, whatever was done to it before. Needs opencv-python-headless and
simplejpeg.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from adapt import photos
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

from softjpeg import Preset, decode, encode
from softjpeg.adaptation.adapted_network import AdaptedNetwork
from softjpeg.adaptation.adapter import Adapter
from softjpeg.common.files import write_text
from softjpeg.common.image_planes import picture_of, planes_of
from softjpeg.jpeg.published_tables import published_tables
from softjpeg.models.fidelity import kl
from softjpeg.models.inference import outputs_of
from softjpeg.models.network import load_network
from softjpeg.report.environment import environment

Change = Callable[[Image.Image], Image.Image]
Writer = Callable[[Tensor, int], bytes]
Decoder = Callable[[bytes], Tensor]


def noisy(picture: Image.Image) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 15, (picture.height, picture.width, 3))
    return Image.fromarray((np.asarray(picture) + noise).round().clip(0, 255).astype(np.uint8))


def default_files(image: Tensor, quality: int) -> bytes:
    return encode(image, Preset.from_quality(quality))


def in_444(image: Tensor, quality: int) -> bytes:
    return encode(image, Preset.from_quality(quality, "4:4:4"))


def psnr_hvs_files(image: Tensor, quality: int) -> bytes:
    """Published tables of another shape, scaled as libjpeg scales its own."""
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    tables = (np.clip(np.round(t * scale), 1, 255) for t in published_tables()["psnr-hvs"])
    return encode(image, Preset(*(t.astype(int) for t in tables)))


def twice(image: Tensor, quality: int) -> bytes:
    """Of a file of quality 60: the second step is not the only one."""
    return default_files(decode(default_files(image, 60)), quality)


def by_opencv(data: bytes) -> Tensor:
    import cv2

    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return planes_of(Image.fromarray(shown[..., ::-1].copy()))


def nearest_chroma(data: bytes) -> Tensor:
    """libjpeg-turbo's fast decoding: chroma repeated, the fast DCT."""
    import simplejpeg

    shown = simplejpeg.decode_jpeg(data, fastdct=True, fastupsample=True)
    return planes_of(Image.fromarray(shown))


def in_webp(image: Tensor, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture_of(image).save(buffer, "webp", quality=quality)
    return buffer.getvalue()


AS_IS: Change = lambda picture: picture  # noqa: E731
SETTINGS: dict[str, tuple[Change, Writer, Decoder]] = {
    "as trained": (AS_IS, default_files, decode),
    "OpenCV's decoder": (AS_IS, default_files, by_opencv),
    "nearest chroma, fast DCT": (AS_IS, default_files, nearest_chroma),
    "4:4:4": (AS_IS, in_444, decode),
    "tables for PSNR-HVS": (AS_IS, psnr_hvs_files, decode),
    "compressed twice": (AS_IS, twice, decode),
    "WebP (strength 0)": (AS_IS, in_webp, decode),
    "noisy photos": (noisy, default_files, decode),
    "blurred photos": (lambda p: p.filter(ImageFilter.GaussianBlur(2)), default_files, decode),
    "half the contrast": (lambda p: ImageEnhance.Contrast(p).enhance(0.5), default_files, decode),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder for unpacked photos")
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=0, help="photos, 0 for all 200")
    parser.add_argument("--qualities", type=int, nargs="+", default=(8, 20, 50))
    options = parser.parse_args()
    network = load_network("efficientnet-lite0")
    network.module.to(memory_format=torch.channels_last)
    adapted = AdaptedNetwork(network.reader, Adapter.load(options.adapter))
    originals, labels = photos(options.data, options.cache, {4}, options.limit)
    rows = []
    for name, (change, write, read) in SETTINGS.items():
        images = [planes_of(change(picture_of(image))) for image in originals]
        target = outputs_of(network.reader, images)
        for quality in options.qualities:
            files = [write(image, quality) for image in images]
            shown = [read(data) for data in files]
            both = outputs_of(network.reader, shown), adapted.outputs_of_files(shown, files)
            kls = [kl(outputs, target) for outputs in both]
            rows.append(
                {
                    "setting": name,
                    "quality": quality,
                    "bpp": 8 * sum(map(len, files)) / sum(i[0].numel() for i in images),
                    "kl": [float(each.mean()) for each in kls],
                    "top1": [float((o.argmax(-1) == labels).float().mean()) for o in both],
                    "gain": paired_interval(*kls),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    facts = {"photos": len(originals), "adapter": str(options.adapter.name), **environment()}
    write_text(options.out, json.dumps({"facts": facts, "rows": rows}, indent=1))


def paired_interval(frozen: Tensor, adapted: Tensor) -> list[float]:
    """The share of the frozen reader's KL that is gone, and its 95 % interval over photos."""
    drawn = torch.randint(
        len(frozen), (1000, len(frozen)), generator=torch.Generator().manual_seed(0)
    )
    gone = 1 - adapted[drawn].mean(-1) / frozen[drawn].mean(-1)
    low, high = torch.quantile(gone, gone.new_tensor([0.025, 0.975])).tolist()
    return [float(1 - adapted.mean() / frozen.mean()), low, high]


if __name__ == "__main__":
    main()
