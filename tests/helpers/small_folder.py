"""What commands read, so small that they are called many times."""

from pathlib import Path

from helpers.images import smooth_image
from softjpeg import Ladder, Preset

NETWORK = """
import torch
from torch import nn

class Reader(nn.Sequential):
    pass

class Other(Reader):
    pass

def small(kind=Reader, side=16):
    torch.manual_seed(0)
    net = kind(nn.AvgPool2d(side // 2), nn.Flatten(), nn.Linear(12, 5))
    net.input_size, net.resize = side, 20
    return net

def other():
    return small(Other)

def large():
    return small(Other, 24)

def loss(outputs, targets):
    return (outputs - targets).square().mean(1)
"""

READ = {"size": None, "resize": None, "limit": None, "seed": 0, "follow_links": False}
"""How images are read where nothing is said."""
READ_SO = {"size": 12, "resize": 18, "limit": 2, "seed": 4, "follow_links": True}
READING = ("--size", 12, "--resize", 18, "--limit", 2, "--seed", 4, "--follow-links")
"""The words that say so."""


def fill(folder):
    """Three photos with labels, networks, a preset and a ladder."""
    folder = Path(folder)
    (folder / "photos").mkdir()
    for i in range(3):
        smooth_image(30, 40, i).save(folder / f"photos/{i}.png")
    (folder / "labels.csv").write_text("file,label\n0.png,2\n1.png,0\n2.png,1\n")
    (folder / "net.py").write_text(NETWORK)
    preset = Preset.from_quality(30)
    preset.save(folder / "preset.json")
    bpp = ((0, 0.1), (1, 1.0), (2, 8.0))
    Ladder((preset,), bpp, ((1, 0.1), (50, 1.0), (100, 8.0))).save(folder / "steps.json")


def all_of(options):
    """Of options, by their words what each changes of a call: all words, and all changes."""
    words = [word for option in options for word in option]
    return words, {name: value for change in options.values() for name, value in change.items()}
