"""Several seeds of several variants, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softjpeg.training.distributed import Group
from softjpeg.training.runs import train
from softjpeg.training.summary import VariantResult


def sweep(
    tree: Mapping[str, Any],
    folder: Path,
    *,
    variants: Sequence[str],
    seeds: Sequence[int],
    jpeg_at: str | None = None,
    group: Group | None = None,
    source: str = "recipe",
    progress: bool = False,
) -> list[VariantResult]:
    """Train every variant with every seed; runs that have ended are not trained again.

    Args and errors as for `softjpeg.training.runs.train`; also ValueError for repeated seeds.
    """
    for name, given in (("variants", variants), ("seeds", seeds)):
        if not given or len(set(given)) < len(given):
            raise ValueError(f"{name} must be given once each, got {', '.join(map(str, given))}")
    found: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    # Seed by seed: the first complete comparison comes early.
    for seed in seeds:
        for variant in variants:
            result = train(
                tree,
                folder,
                variant=variant,
                seed=seed,
                jpeg_at=jpeg_at,
                group=group,
                source=source,
                progress=progress,
            )
            found[variant].append(result)
    return [
        VariantResult(
            variant,
            tuple(seeds),
            tuple(r["top1"] for r in results),
            tuple(r["best_top1"] for r in results),
        )
        for variant, results in found.items()
    ]
