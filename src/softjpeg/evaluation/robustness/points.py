"""What was measured under attack: points, means over runs, and checks, as a table and JSON."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from softjpeg.common.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class RobustnessPoint:
    """One run of a network under one attack.

    Attributes:
        network: its name.
        run: which of the networks of that name, from 0.
        attack: "none" or one of `ATTACKS`.
        eps: largest change of a pixel, in levels of 255; 0 without an attack.
        top1: share of the images whose label the network still gives.
        count: how many images.
    """

    network: str
    run: int
    attack: str
    eps: float
    top1: float
    count: int


@dataclass(frozen=True)
class RobustnessMean:
    """A network under one attack, over its runs.

    Attributes:
        network: its name.
        attack: "none" or one of `ATTACKS`.
        eps: largest change of a pixel, in levels of 255; 0 without an attack.
        top1: mean over the runs.
        deviation: standard deviation over the runs (n - 1); None for one run.
        runs: how many.
    """

    network: str
    attack: str
    eps: float
    top1: float
    deviation: float | None
    runs: int


@dataclass(frozen=True)
class Check:
    """One question about a network's gradients.

    Attributes:
        name: what was compared.
        value: what was measured.
        limit: the most it may be, or for the two gradient checks the least.
        passed: False where the gradients look masked.
        sentence: the finding in words.
    """

    name: str
    value: float
    limit: float
    passed: bool
    sentence: str


def over_runs(points: Sequence[RobustnessPoint]) -> list[RobustnessMean]:
    """Mean and standard deviation over the runs of each network, in the points' order.

    >>> runs = [RobustnessPoint("a", run, "pgd", 1.0, top1, 10) for run, top1 in enumerate((0, 1))]
    >>> [(m.top1, round(m.deviation, 3), m.runs) for m in over_runs(runs)]
    [(0.5, 0.707, 2)]
    """
    groups: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for p in points:
        groups[p.network, p.attack, p.eps].append(p.top1)
    return [
        RobustnessMean(*key, mean(values), stdev(values) if len(values) > 1 else None, len(values))
        for key, values in groups.items()
    ]


def table(points: Sequence[RobustnessPoint], title: str | None = None) -> Table:
    """A row for each network and attack, a column for each strength; ± over several runs."""
    from rich.table import Table

    means = over_runs(points)
    strengths = sorted({m.eps for m in means if m.attack != "none"})
    cells = {(m.network, m.attack, m.eps): m for m in means}
    view = Table(title=title)
    view.add_column("network")
    view.add_column("attack")
    view.add_column("top-1 %", justify="right")
    for eps in strengths:
        view.add_column(f"eps {eps:g}/255", justify="right")
    rows = {(m.network, m.attack): None for m in means if m.attack != "none"}
    for network, attack in rows or {(m.network, "none"): None for m in means}:
        keys = [(network, "none", 0.0), *((network, attack, eps) for eps in strengths)]
        view.add_row(network, attack, *(_percent(cells.get(key)) for key in keys))
    return view


def save_json(
    points: Sequence[RobustnessPoint],
    path: str | os.PathLike[str],
    provenance: Mapping[str, Any],
    checks: Mapping[str, Sequence[Check]] | None = None,
) -> None:
    """Write the points as JSON, all of it or none.

    Args:
        points: of every network and attack.
        path: of the file.
        provenance: where they come from, anything JSON can hold.
        checks: of gradient masking, by network.
    """
    body = {
        "provenance": dict(provenance),
        "points": [asdict(p) for p in points],
        "checks": {name: [asdict(c) for c in each] for name, each in (checks or {}).items()},
    }
    write_atomically(path, (json.dumps(body, indent=2) + "\n").encode())


def _percent(cell: RobustnessMean | None) -> str:
    if cell is None:
        return ""
    spread = "" if cell.deviation is None else f" ± {100 * cell.deviation:.1f}"
    return f"{100 * cell.top1:.1f}{spread}"
