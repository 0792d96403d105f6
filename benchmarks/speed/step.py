"""What a JPEG layer adds to a training step of ResNet-18 (SGD, float32, channels_last).

The layer stands in front and its tables train; JPEG-DL's setting (alpha 5, five indices, levels
127), at tables of ones, where the authors begin, and of tens. Whatever trains in front of a network
needs the gradient of the images, a pass of the first convolution that a network alone never makes:
a row without a layer that computes this gradient says what it costs.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.speed.pure import pure
from benchmarks.speed.subject import Options, Result, gather, goal, smooth_images, threads
from benchmarks.speed.timing import Step, ratio, rows, take_turns
from softjpeg import JPEGLayer
from softjpeg.nn.wrapping import wrap

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WITHOUT, PURE = "without a layer", "tables of tens, pure functions"
GRADIENT = "without a layer, gradient of the images"
TENS = "tables of tens"
LAYERS = {"tables of ones": 1.0, TENS: 10.0}


def training_step(layer: JPEGLayer | None, images: torch.Tensor, gradient: bool = False) -> Step:
    """One optimizer step on `images`, as a function to call again and again."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = wrap(resnet18(), layer, MEAN, STD).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    labels = torch.arange(len(images))
    images = images.detach().requires_grad_(gradient)

    def step() -> None:
        images.grad = None
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def jpeg_dl_layer(q: float) -> JPEGLayer:
    """All steps the same."""
    table = torch.full((8, 8), q)
    return JPEGLayer(table, table, alpha=5.0, window=5, levels=127)


def run(options: Options) -> Result:
    """Measure."""
    images = smooth_images(2, 64) if options.quick else smooth_images(16)
    images = images.to(memory_format=torch.channels_last)
    builders: dict[str, Any] = {
        WITHOUT: lambda: training_step(None, images),
        GRADIENT: lambda: training_step(None, images, gradient=True),
    }
    for name, q in LAYERS.items():
        builders[name] = lambda q=q: training_step(jpeg_dl_layer(q), images)
    builders[PURE] = lambda: pure(training_step(jpeg_dl_layer(10.0), images))
    found, missing = gather(builders)
    with threads(options.threads):
        times = take_turns(found, options.rounds(25), limit_s=110)
    measured = rows(times, WITHOUT) if found else []
    slower = ratio(times, TENS, WITHOUT) if found else None
    own = ratio(times, TENS, GRADIENT) if found else None
    shape = "x".join(map(str, images.shape))
    return {
        "setting": f"{shape} float32 on the CPU, {options.threads} threads",
        "tables": [
            {"title": "A ResNet-18 training step", "reference": WITHOUT, "rows": measured + missing}
        ],
        "goals": [
            goal(2, "times a ResNet-18 training step without a layer", "<=", 1.03, slower),
            goal(2, "the same, with the gradient of the images on both sides", "<=", 1.03, own),
        ],
    }
