"""All variants of an experiment with several seeds, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from softjpeg.training.distributed import Group
from softjpeg.training.experiment import Experiment
from softjpeg.training.runs import train
from softjpeg.training.summary import VariantResult


def sweep(
    experiment: Experiment,
    seeds: Sequence[int],
    *,
    group: Group | None = None,
    progress: bool = False,
) -> list[VariantResult]:
    """Train every variant with every seed; runs that have ended are not trained again.

    Args:
        experiment: its variants, and where they go.
        seeds: at least 0, each once.
        group: the processes; default this one.
        progress: show progress bars.

    Raises:
        ValueError: repeated seeds, or what `softjpeg.training.runs.train` raises.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be given once each, got {', '.join(map(str, seeds))}")
    tests: dict[str, list[dict[str, Any]]] = {variant: [] for variant in experiment.variants}
    # Seed by seed: the first complete comparison comes early.
    for seed in seeds:
        for variant, results in tests.items():
            results.append(train(experiment, variant, seed, group=group, progress=progress))
    return [
        VariantResult(
            variant,
            tuple(seeds),
            tuple(test["top1"] for test in results),
            tuple(test["best_top1"] for test in results),
        )
        for variant, results in tests.items()
    ]
