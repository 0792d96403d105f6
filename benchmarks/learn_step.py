"""What learning costs: a step beside the network alone, and how often the network is run.

    python benchmarks/learn_step.py [--pairs 7] [--out learn_step.json]

EfficientNet-Lite0 at 224x224, batch 16, float32, channels_last, 4:2:0. A *sensitivity* step (codec,
network and the gradient of both) against the network's own forward pass and input gradient, and a
*measuring* step (one candidate's codec and forward pass) against a forward pass. They take turns
after a warm-up; the ratio is the median over pairs, CPU time beside wall time. Then the passes of
`learn` over 800 images are counted in forward passes.
"""

from __future__ import annotations

import torch
from paired_timing import compare, options_of, save, show, smooth_images

from softjpeg.networks import load_efficientnet_lite0
from softjpeg.rate_control import default_tables
from softjpeg.schedule import stages
from softjpeg.task import Task


def forward_passes(task: Task, images: int) -> dict[str, float]:
    """Of `learn` over so many images at one target rate; a gradient counts as two more."""
    batches = torch.arange(images).split(task.batch_size)
    spans = [slice(int(b[0]), int(b[-1]) + 1) for b in batches]
    task.measured, task.judged = spans[: len(spans) // 2], spans[len(spans) // 2 :]
    runs = {"sensitivity": 3, "blend": 7, "bands": 16, "choice": 4}
    counted: dict[str, float] = {"targets": images}
    for name, _ in stages(1):
        counted[name] = runs[name] * sum(p.stop - p.start for p in task.parts(name))
    counted["hardness"] = 4 * 2 * task.batch_size
    return {**counted, "all": sum(counted.values())}


def main() -> None:
    options = options_of(__doc__, pairs=7)
    network = load_efficientnet_lite0().module.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    images = (smooth_images(8 * options.batch) * 255).round().to(torch.uint8)
    task = Task(network, images, None, None, "4:2:0", options.batch, 0)
    tables, part = default_tables(50), task.measured[0]
    floats = (images[part].float() / 255).contiguous(memory_format=torch.channels_last)
    inputs = floats.requires_grad_()

    def gradient() -> None:
        torch.autograd.grad(network(inputs).log_softmax(-1)[:, 0].sum(), inputs)

    @torch.no_grad()
    def forward() -> None:
        network(floats)

    results = {
        "sensitivity": compare(
            gradient, lambda: task.sensitivities(part, tables, generator), options.pairs
        ),
        "measuring": compare(forward, lambda: task.losses(part, [tables]), options.pairs),
    }
    for name, clocks in results.items():
        show(name, clocks)
    passes = forward_passes(task, 800)
    print("forward passes of 800 images:", passes)
    save(options, {"results": results, "passes": passes})


if __name__ == "__main__":
    main()
