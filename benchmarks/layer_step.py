"""What a JPEG layer adds to a training step.

    python benchmarks/layer_step.py [--pairs 9] [--out layer_step.json]

ResNet-18 (torchvision) at 224x224, batch 16, SGD, float32, channels_last, with and without a
JPEGLayer (soft, 5 indices, levels 127, alpha 5, 4:4:4) in front whose tables train. The two take
turns in one process, after a warm-up, so that other work on the machine meets both; the ratio is
the median over pairs of steps. CPU time is printed beside wall time: it hardly notices such work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.models import resnet18

from softjpeg import JPEGLayer
from softjpeg.files import write_atomically
from softjpeg.report.environment import environment
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


def seconds(step: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of one step."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu


def summary(times: list[tuple[tuple[float, float], tuple[float, float]]]) -> dict[str, object]:
    """Medians, minima and the ratio's quartiles of (without, with) pairs, for wall and CPU."""
    result: dict[str, object] = {}
    for index, clock in enumerate(("wall", "cpu")):
        without, behind = ([pair[i][index] for pair in times] for i in (0, 1))
        ratios = [b / a for a, b in zip(without, behind, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        result[clock] = {
            "without_s": statistics.median(without),
            "with_s": statistics.median(behind),
            "ratio": middle,
            "ratio_quartiles": [low, high],
            "ratio_of_minima": min(behind) / min(without),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Smooth pictures: their blocks' DC and AC are spread as a photo's are, unlike noise's.
    coarse = torch.rand(options.batch, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)
    images = images.to(memory_format=torch.channels_last)
    baseline = training_step(None, images)
    results = {}
    print(f"{'tables':10}{'clock':6}{'without':>10}{'with':>10}{'ratio':>8}   quartiles    minima")
    for name, q in (("ones", 1.0), ("tens", 10.0)):
        table = torch.full((8, 8), q)
        step = training_step(JPEGLayer(table, table, alpha=5.0, window=5, levels=127), images)
        baseline(), step()
        times = [(seconds(baseline), seconds(step)) for _ in range(options.pairs)]
        results[name] = summary(times)
        for clock, r in results[name].items():
            low, high = r["ratio_quartiles"]
            print(
                f"{name:10}{clock:6}{r['without_s']:9.2f}s{r['with_s']:9.2f}s{r['ratio']:8.3f}"
                f"   {low:.3f}-{high:.3f}  {r['ratio_of_minima']:.3f}",
                flush=True,
            )
    if options.out is not None:
        settings = {k: str(v) for k, v in vars(options).items()}
        written = {"environment": environment(), "settings": settings, "results": results}
        write_atomically(options.out, json.dumps(written, indent=2).encode())


if __name__ == "__main__":
    main()
