"""Real images and weights for experiments, where a checkout has them beside it."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

FOLDER = Path(__file__).parents[3] / "shared" / "data"


def need(name):
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"needs the experiment data {name}, which is not part of the project")
    return path


def imagenet_photos(count, size=None):
    """`count` photos spread over the sample, RGB, centre-cropped to `size` where given."""
    with zipfile.ZipFile(need("imagenet_sample_1000.zip")) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".JPEG"))
        photos = []
        for name in names[:: len(names) // count][:count]:
            photo = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            if size is not None:
                scale = max(size[1] / photo.width, size[0] / photo.height)
                photo = photo.resize(
                    (
                        max(size[1], round(photo.width * scale)),
                        max(size[0], round(photo.height * scale)),
                    )
                )
                left, top = (photo.width - size[1]) // 2, (photo.height - size[0]) // 2
                photo = photo.crop((left, top, left + size[1], top + size[0]))
            photos.append(photo)
    return photos


def cifar(count):
    data = np.load(need("cifar10_lossless_train4000.npz"))
    return torch.from_numpy(data["x"][:count]).permute(0, 3, 1, 2).contiguous()
