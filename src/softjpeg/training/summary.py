"""What several seeds of several variants reached: mean ± standard deviation beside expectation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from softjpeg.common.files import write_atomically
from softjpeg.training.recipe import Expected

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class VariantResult:
    """Top-1 (0..1) of one variant.

    Attributes:
        variant: its name.
        seeds: those it was trained with.
        top1: after the last epoch, of each seed.
        best_top1: after the best epoch, of each seed: chosen by the test images themselves.
    """

    variant: str
    seeds: tuple[int, ...]
    top1: tuple[float, ...]
    best_top1: tuple[float, ...]


def spread(values: Sequence[float]) -> str:
    """Percent, as mean ± standard deviation of a sample.

    >>> spread([0.5, 0.52]), spread([0.5])
    ('51.00 ± 1.41', '50.00')
    """
    middle = f"{100 * mean(values):.2f}"
    return f"{middle} ± {100 * stdev(values):.2f}" if len(values) > 1 else middle


def table(results: Sequence[VariantResult], expected: Mapping[str, Expected]) -> Table:
    """A row for each variant."""
    from rich.table import Table

    view = Table(title="top-1 accuracy, %: mean ± standard deviation over seeds")
    for column in ("variant", "seeds", "last epoch", "best epoch", "expected"):
        view.add_column(column, justify="left" if column == "variant" else "right")
    for result in results:
        view.add_row(
            result.variant,
            str(len(result.seeds)),
            spread(result.top1),
            spread(result.best_top1),
            _expectation(expected.get(result.variant)),
        )
    return view


def save_summary(results: Sequence[VariantResult], path: Path, facts: Mapping[str, Any]) -> None:
    """Write results and facts as JSON; `std` is null for a single seed.

    Args:
        results: a row each.
        path: the file, replaced as one.
        facts: where they come from, in JSON's types.
    """
    rows = [
        asdict(r) | {"mean": mean(r.top1), "std": stdev(r.top1) if len(r.top1) > 1 else None}
        for r in results
    ]
    body = {**facts, "results": rows}
    write_atomically(path, (json.dumps(body, indent=1) + "\n").encode())


def _expectation(expected: Expected | None) -> str:
    if expected is None:
        return ""
    return f"{expected.top1:.2f}" + (f" ± {expected.std:.2f}" if expected.std else "")
