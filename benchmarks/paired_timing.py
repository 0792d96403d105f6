"""Two functions timed in turns in one process, so that other work on the machine meets both."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softjpeg.files import write_atomically
from softjpeg.report.environment import environment

Step = Callable[[], object]


def options_of(description: str | None, pairs: int) -> argparse.Namespace:
    """The options that every such benchmark has; threads are set."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    return options


def smooth_images(count: int) -> Tensor:
    """(count, 3, 224, 224) in [0, 1]: DC and AC spread as a photo's are, unlike noise's."""
    coarse = torch.rand(count, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (224, 224), mode="bicubic").clamp(0, 1)


def compare(alone: Step, more: Step, pairs: int) -> dict[str, dict[str, Any]]:
    """After a warm-up: medians, and the ratio of pairs with its quartiles, for wall and CPU."""
    alone(), more()
    times = [(_seconds(alone), _seconds(more)) for _ in range(pairs)]
    result = {}
    for index, clock in enumerate(("wall", "cpu")):
        a, b = ([pair[i][index] for pair in times] for i in (0, 1))
        low, middle, high = statistics.quantiles([y / x for x, y in zip(a, b, strict=True)], n=4)
        result[clock] = {
            "alone_s": statistics.median(a),
            "more_s": statistics.median(b),
            "ratio": middle,
            "ratio_quartiles": [low, high],
            "ratio_of_minima": min(b) / min(a),
        }
    return result


def show(name: str, clocks: dict[str, dict[str, Any]]) -> None:
    """A line for wall and one for CPU."""
    for clock, r in clocks.items():
        low, high = r["ratio_quartiles"]
        print(
            f"{name:12}{clock:5}{r['alone_s']:8.2f}s{r['more_s']:8.2f}s{r['ratio']:8.3f}"
            f"   {low:.3f}-{high:.3f}  {r['ratio_of_minima']:.3f}",
            flush=True,
        )


def save(options: argparse.Namespace, body: dict[str, Any]) -> None:
    """The results with machine, versions and settings, where a file is asked for."""
    if options.out is not None:
        settings = {k: str(v) for k, v in vars(options).items()}
        written = {"environment": environment(), "settings": settings, **body}
        write_atomically(options.out, json.dumps(written, indent=2).encode())


def _seconds(step: Step) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - wall, time.process_time() - cpu
