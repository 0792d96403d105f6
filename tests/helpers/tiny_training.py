"""A data set, networks and a recipe so small that a training run takes a second."""

import json

import numpy as np
from PIL import Image

NETWORKS = """
import os, pathlib, time
from torch import nn

class Pausing(nn.Module):
    '''Waits in a forward pass of training for a file, or for whoever stops the process.'''

    def __init__(self):
        super().__init__()
        self.passes = 0

    def forward(self, x):
        self.passes += self.training
        if self.training and self.passes == int(os.environ.get("PAUSE_AT", "0")):
            folder = pathlib.Path(os.environ["PAUSE_IN"])
            (folder / "paused").touch()
            while not (folder / "go").exists():
                time.sleep(0.02)
        return x

def small(classes, norm=nn.BatchNorm2d, drop=0.3):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, stride=2), norm(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2),
        nn.ReLU(), nn.Dropout(drop), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
        Pausing(),
    )

def plain(classes):
    return small(classes, norm=lambda channels: nn.Identity(), drop=0.0)

def steep(classes):
    net = plain(classes)
    net[8].bias.register_hook(lambda gradient: gradient * 1e10)
    return net

def evaluating(classes):
    return small(classes).eval()

def fixed_size(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes))

def two_outputs(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes + 1))
"""


def write_images(root, train=24, test=9, size=16, classes=3):
    """``root/train/CLASS/i.png`` and ``root/val/CLASS/i.png``: noise of the class's colour."""
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("val", test)):
        for i in range(count):
            label = i % classes
            pixels = rng.integers(0, 160, (size, size, 3))
            pixels[..., label] += 90
            path = root / part / f"class{label}" / f"{i:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)


def tiny_recipe(root, network="small", **changes):
    """A recipe's keys: 24 images in batches of 4, two epochs; changes as section__key."""
    (root / "networks.py").write_text(NETWORKS)
    tree = {
        "data": {"name": "folder", "root": str(root), "size": 16},
        "model": {"name": f"{root / 'networks.py'}:{network}"},
        "jpeg": {"alpha": 5.0, "init": "quality", "quality": 50},
        "optimizer": {"lr": 0.05, "weight_decay": 0.01},
        "jpeg_optimizer": {"name": "adam", "lr": 0.5, "scheduled": False},
        "schedule": {"name": "cosine", "warmup": 1},
        "train": {"epochs": 2, "batch_size": 4, "log_every": 1},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        tree[section][key] = value
    return tree


def write_recipe(path, tree):
    """The recipe as a TOML file; JSON's numbers, strings, lists and booleans are TOML's."""
    lines = []
    for section, values in tree.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


def train_variant(tree, folder, variant="jpeg-dl", seed=0, *, jpeg_at=None, group=None):
    """The final test of one run of a recipe's keys."""
    from softjpeg.training.experiment import parse_experiment
    from softjpeg.training.runs import train

    experiment = parse_experiment(tree, folder, variants=[variant], jpeg_at=jpeg_at)
    return train(experiment, variant, seed, group=group)
