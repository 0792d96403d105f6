"""What a JPEG layer adds to a training step.

    python benchmarks/layer_step.py [--pairs 9] [--out layer_step.json]

ResNet-18 (torchvision) at 224x224, batch 16, SGD, float32, channels_last, with and without a
JPEGLayer (soft, 5 indices, levels 127, alpha 5, 4:4:4) in front whose tables train. The two take
turns in one process, after a warm-up, so that other work on the machine meets both; the ratio is
the median over pairs of steps. CPU time is printed beside wall time: it hardly notices such work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from paired_timing import compare, options_of, save, show, smooth_images
from torchvision.models import resnet18

from softjpeg import JPEGLayer
from softjpeg.wrap import wrap

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def training_step(layer: JPEGLayer | None, images: torch.Tensor) -> Callable[[], None]:
    """One optimizer step of ResNet-18 on `images`, as a function to call again and again."""
    torch.manual_seed(0)
    network = wrap(resnet18(), layer, MEAN, STD).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    labels = torch.arange(len(images))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    options = options_of(__doc__, pairs=9)
    images = smooth_images(options.batch).to(memory_format=torch.channels_last)
    baseline = training_step(None, images)
    results = {}
    print(f"{'tables':12}{'clock':5}{'without':>9}{'with':>9}{'ratio':>8}   quartiles    minima")
    for name, q in (("ones", 1.0), ("tens", 10.0)):
        table = torch.full((8, 8), q)
        step = training_step(JPEGLayer(table, table, alpha=5.0, window=5, levels=127), images)
        results[name] = compare(baseline, step, options.pairs)
        show(name, results[name])
    save(options, {"results": results})


if __name__ == "__main__":
    main()
