"""What learning costs: a step beside the network alone, and how often the network is run.

    python benchmarks/learn_step.py [--pairs 7] [--out learn_step.json]

EfficientNet-Lite0 at 224x224, batch 16, float32, channels_last, 4:2:0. A *sensitivity* step (codec,
network and the gradient of both) against the network's own forward pass and input gradient, and a
*measuring* step (one candidate's codec and forward pass) against a forward pass. They take turns
after a warm-up; the ratio is the median over pairs, CPU time beside wall time. Then the passes of
`learn` over 800 images are counted in forward passes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from softjpeg.files import write_atomically
from softjpeg.networks import load_efficientnet_lite0
from softjpeg.rate_control import default_tables
from softjpeg.report.environment import environment
from softjpeg.schedule import stages
from softjpeg.task import Task


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(alone: Callable[[], object], learning: Callable[[], object], pairs: int):
    """Median seconds of both and the median ratio of pairs, by clock."""
    alone(), learning()
    times = [(timed(alone), timed(learning)) for _ in range(pairs)]
    result = {}
    for index, clock in enumerate(("wall", "cpu")):
        a, b = ([pair[i][index] for pair in times] for i in (0, 1))
        ratios = sorted(y / x for x, y in zip(a, b, strict=True))
        result[clock] = {
            "alone_s": statistics.median(a),
            "learning_s": statistics.median(b),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
    return result


def forward_passes(task: Task, images: int) -> dict[str, float]:
    """Of `learn` over so many images at one target rate; a gradient counts as two more."""
    batches = torch.arange(images).split(task.batch_size)
    spans = [slice(int(b[0]), int(b[-1]) + 1) for b in batches]
    task.measured, task.judged = spans[: len(spans) // 2], spans[len(spans) // 2 :]
    runs = {"sensitivity": 3, "blend": 4, "bands": 16, "choice": 4}
    counted: dict[str, float] = {"targets": images}
    for name, _ in stages(1):
        counted[name] = runs[name] * sum(p.stop - p.start for p in task.parts(name))
    counted["hardness"] = 4 * 2 * task.batch_size
    return {**counted, "all": sum(counted.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = load_efficientnet_lite0().module.to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(8 * options.batch, 3, 28, 28, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)
    images = (smooth * 255).round().to(torch.uint8)
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
        for clock, r in clocks.items():
            print(f"{name:12}{clock:5}{r['alone_s']:8.2f}s{r['learning_s']:8.2f}s{r['ratio']:7.3f}")
    passes = forward_passes(task, 800)
    print("forward passes of 800 images:", passes)
    if options.out is not None:
        settings = {k: str(v) for k, v in vars(options).items()}
        body = {"environment": environment(), "settings": settings, "results": results}
        write_atomically(options.out, json.dumps({**body, "passes": passes}, indent=2).encode())


if __name__ == "__main__":
    main()
