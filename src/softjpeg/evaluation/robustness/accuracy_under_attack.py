"""Accuracy under attack: networks × attacks × strengths on one set of images."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from softjpeg.common.files import write_atomically
from softjpeg.common.progress import track
from softjpeg.evaluation.robustness.attacks import Attack, bpda, fgsm, pgd
from softjpeg.evaluation.robustness.autopgd import autopgd
from softjpeg.models.inference import check_inputs, check_labels, device_of, outputs_of

if TYPE_CHECKING:
    from rich.table import Table

    from softjpeg.evaluation.robustness.gradient_masking import Check

ATTACKS = ("fgsm", "pgd", "bpda", "autopgd")


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
        network, attack, eps: as in `RobustnessPoint`.
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


def robustness(
    models: Mapping[str, nn.Module | Sequence[nn.Module]],
    images: Tensor,
    labels: Tensor,
    *,
    eps: Sequence[float] = (1, 2, 3, 4),
    attacks: Sequence[str] = ("fgsm", "pgd"),
    steps: int = 5,
    restarts: int = 1,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> list[RobustnessPoint]:
    """Attack every network white-box and count the images it still gets right.

    Args:
        models: by name, one network or several runs of it; each from (B, 3, H, W) RGB in [0, 1]
            to logits (B, classes); put in eval mode.
        images: (N, 3, H, W) uint8.
        labels: (N,) class indices.
        eps: strengths in levels of 255.
        attacks: of "fgsm", "pgd", "bpda" (PGD with straight-through quantizers) and "autopgd"
            (100 steps).
        steps: of PGD and BPDA, each ``2.5·eps/steps`` long.
        restarts: random starts of all but FGSM.
        batch_size: images per gradient.
        seed: of the random starts; every network gets the same ones.
        progress: show a progress bar on a terminal.

    Returns:
        For each network and run: "none" first, then attack by attack the strengths in their order.

    Raises:
        ValueError: images or labels of the wrong shape or type, or an unknown attack.
        ImportError: AutoPGD's library is not installed.

    >>> images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> points = robustness({"mine": network}, images, torch.zeros(4).long(), eps=[2])
    >>> [(p.attack, p.eps) for p in points]
    [('none', 0.0), ('fgsm', 2.0), ('pgd', 2.0)]
    """
    check_inputs(images, labels, batch_size)
    for strength in eps:
        if not 0 < strength <= 255:
            raise ValueError(f"eps must lie above 0 and up to 255 pixel levels, got {strength}")
    for attack in attacks:
        if attack not in ATTACKS:
            raise ValueError(f"attacks must be of {', '.join(ATTACKS)}, got {attack!r}")
    jobs = [
        (name, run, model, attack, strength)
        for name, given in models.items()
        for run, model in enumerate([given] if isinstance(given, nn.Module) else given)
        for attack, strength in [("none", 0.0), *((a, float(e)) for a in attacks for e in eps)]
    ]
    points = []
    for name, run, model, attack, strength in track(jobs, "attacking", enabled=progress):
        function = _attack(attack, strength / 255, steps, restarts, seed)
        right = correct_under(model, images, labels, function, batch_size=batch_size)
        top1 = right.double().mean().item()
        points.append(RobustnessPoint(name, run, attack, strength, top1, len(images)))
    return points


def correct_under(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack | None = None,
    *,
    source: nn.Module | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Which images a network gets right, as they are or under attack; bool (N,) on the CPU.

    Args:
        model, images, labels, batch_size: as for `robustness`.
        attack: None for the images as they are.
        source: the network the attack sees (a transfer attack); default `model` itself.

    Raises:
        ValueError: the network cannot read the images, or a label is none of its classes.

    >>> images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    >>> correct_under(network, images, torch.zeros(4).long()).shape
    torch.Size([4])
    """
    seen, labels = model if source is None else source, labels.cpu()
    for network in (model, seen):
        network.eval()
        check_labels(labels, outputs_of(network, images[:1]))
    if labels.min() < 0:
        raise ValueError(f"labels must be at least 0, got {int(labels.min())}")
    right = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        x, y = images[part].to(device_of(seen)).float() / 255, labels[part].long()
        if attack is not None:
            x = attack(seen, x, y.to(x.device))
        with torch.no_grad():
            answers = model(x.to(device_of(model))).argmax(-1)
        right.append(answers.cpu() == y)
    return torch.cat(right)


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
    """Write the points, the masking checks by network and where they come from, all or none."""
    body = {
        "provenance": dict(provenance),
        "points": [asdict(p) for p in points],
        "checks": {name: [asdict(c) for c in each] for name, each in (checks or {}).items()},
    }
    write_atomically(path, (json.dumps(body, indent=2) + "\n").encode())


def _attack(name: str, eps: float, steps: int, restarts: int, seed: int) -> Attack | None:
    if name == "fgsm":
        return partial(fgsm, eps=eps)
    if name in ("pgd", "bpda"):
        # One generator for all batches: each has random starts of its own.
        generator = torch.Generator().manual_seed(seed)
        descent = pgd if name == "pgd" else bpda
        return partial(descent, eps=eps, steps=steps, restarts=restarts, generator=generator)
    if name == "autopgd":
        return partial(autopgd, eps=eps, restarts=restarts, seed=seed)
    return None


def _percent(cell: RobustnessMean | None) -> str:
    if cell is None:
        return ""
    spread = "" if cell.deviation is None else f" ± {100 * cell.deviation:.1f}"
    return f"{100 * cell.top1:.1f}{spread}"
