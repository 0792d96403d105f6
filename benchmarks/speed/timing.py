"""Functions timed in turns (a, b, c, a, b, c, ...), so that other work on a machine meets all."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Step = Callable[[], object]
Times = dict[str, list[tuple[float, float]]]
"""By name: (wall, CPU) seconds of a call in every round."""

_SHORTEST_S = 5e-3
_LEAST_ROUNDS = 3


def take_turns(
    steps: Mapping[str, Step],
    rounds: int,
    *,
    limit_s: float = 60.0,
    finish: Step = lambda: None,
) -> Times:
    """Time every function once a round, after two calls that warm it up.

    Args:
        steps: by name; one that takes less than 5 ms is called more often in a round.
        rounds: at most; at least 3.
        limit_s: no further round begins after so many seconds.
        finish: called before the clock stops, as `torch.cuda.synchronize`.
    """
    repeats = {}
    for name, step in steps.items():
        _seconds(step, 1, finish)
        repeats[name] = max(1, math.ceil(_SHORTEST_S / _seconds(step, 1, finish)[0]))
    times: Times = {name: [] for name in steps}
    begun = time.perf_counter()
    for count in range(rounds):
        if count >= _LEAST_ROUNDS and time.perf_counter() - begun > limit_s:
            break
        for name, step in steps.items():
            times[name].append(_seconds(step, repeats[name], finish))
    return times


def ratio(times: Times, over: str, under: str, clock: str = "wall") -> list[float]:
    """Quartiles (low, median, high) over rounds of one function's time over another's."""
    i = ("wall", "cpu").index(clock)
    pairs = zip(times[over], times[under], strict=True)
    return quartiles([a[i] / b[i] for a, b in pairs])


def rows(times: Times, reference: str) -> list[dict[str, Any]]:
    """A row for each function: median milliseconds, and how often the reference's time it takes."""
    return [
        {
            "name": name,
            "wall_ms": [1e3 * s for s in quartiles([wall for wall, _ in samples])],
            "cpu_ms": 1e3 * statistics.median(cpu for _, cpu in samples),
            "times_reference": ratio(times, name, reference),
            "times_reference_cpu": ratio(times, name, reference, "cpu")[1],
            "rounds": len(samples),
        }
        for name, samples in times.items()
    ]


def quartiles(values: list[float]) -> list[float]:
    """Low, median and high.

    >>> quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
    [2.0, 3.0, 4.0]
    """
    return statistics.quantiles(values, n=4, method="inclusive")


def bytes_kept(forward: Callable[[], Tensor]) -> int:
    """What autograd keeps of a forward pass for its backward pass, parameters included."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # Alive until all is counted: freed memory would be given out twice.
        result = forward()
    assert result.requires_grad
    return sum(kept.values())


def _seconds(step: Step, repeats: int, finish: Step) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        step()
    finish()
    return (time.perf_counter() - wall) / repeats, (time.process_time() - cpu) / repeats
