"""What jpeg_dl_attacks.py measured, as Markdown tables and one plot."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy.stats import binomtest

Cells = dict[tuple[str, str, float], np.ndarray]
"""(system, attack, eps) → which images stayed right, bool (N,)."""

WORST = "worst of these"
PLOTTED = ("FGSM", "BPDA FGSM", "PGD-5", "BPDA PGD-5", "PGD-50", "BPDA PGD-50", "softened PGD-50")


def read(path: Path) -> Cells:
    """The cells of a file."""
    cells = {}
    for key, bits in json.loads(path.read_text())["cells"].items():
        system, attack, eps = key.split("|")
        cells[system, attack, float(eps)] = np.array([b == "1" for b in bits])
    return cells


def with_worst(cells: Cells) -> Cells:
    """And, for each system and strength, the images that no attack turned."""
    worst: Cells = {}
    for (system, attack, eps), right in cells.items():
        key = (system, WORST, eps)
        if attack != "none":
            worst[key] = worst.get(key, cells[system, "none", 0.0]) & right
    return cells | worst


def by_seed(cells: Cells) -> dict[tuple[str, str, float], list[float]]:
    """Percent right of each seed's network, under the name without the seed."""
    found: dict[tuple[str, str, float], list[float]] = {}
    for (system, attack, eps), right in cells.items():
        name = split_seed(system)[0]
        found.setdefault((name, attack, eps), []).append(100 * right.mean())
    return found


def tables(cells: Cells) -> list[str]:
    """A table for each strength: a system a row, an attack a column."""
    cells = with_worst(cells)
    count = {len(right) for right in cells.values()}
    shares = by_seed(cells)
    lines: list[str] = []
    for eps in sorted({eps for _, _, eps in cells if eps}):
        attacks = list(dict.fromkeys(a for _, a, e in shares if e == eps and a != WORST))
        columns = ["none", *attacks, WORST]
        lines += [f"| eps {eps:g}/255, in front | " + " | ".join(columns) + " |"]
        lines += ["|---" * (len(columns) + 1) + "|"]
        for name in dict.fromkeys(system for system, _, _ in shares):
            row = [_cell(shares.get((name, a, eps if a != "none" else 0.0))) for a in columns]
            lines.append(f"| {name} | " + " | ".join(row) + " |")
        lines.append("")
    (images,) = count
    half = max(_half_width(k, images) for k in range(images + 1))
    sentence = f"{images} images; the 95 % interval of one network is at most ± {half:.1f}."
    if any(len(values) > 1 for values in shares.values()):
        sentence += " Mean ± standard deviation over seeds; without ±, of one seed."
    return [*lines, sentence]


def differences(cells: Cells, reference: str, eps: float, attacks: Sequence[str]) -> list[str]:
    """Each system's gain over the reference of the same seed, image by image.

    Args:
        cells: of all systems.
        reference: a system's name without the seed.
        eps: which strength.
        attacks: which attacks.
    """
    changes: dict[tuple[str, str], list[np.ndarray]] = {}
    for (system, attack, strength), right in cells.items():
        name, seed = split_seed(system)
        other = cells.get((reference + seed, attack, strength))
        if strength == eps and attack in attacks and name != reference and other is not None:
            changes.setdefault((name, attack), []).append(right.astype(float) - other)
    lines = [f"| eps {eps:g}/255 | attack | gain, points | 95 % interval |", "|---|---|---|---|"]
    for (name, attack), of_seeds in changes.items():
        change = np.mean(of_seeds, axis=0)
        gain, half = 100 * change.mean(), 196 * change.std(ddof=1) / len(change) ** 0.5
        lines.append(
            f"| {name} | {attack} | {gain:+.1f} | {gain - half:+.1f} to {gain + half:+.1f} |"
        )
    return lines


def split_seed(system: str) -> tuple[str, str]:
    """A system's name, and the words that say its seed.

    >>> split_seed("baseline, seed 2"), split_seed("nothing")
    (('baseline', ', seed 2'), ('nothing', ''))
    """
    name = re.sub(r", seed \d+$", "", system)
    return name, system[len(name) :]


def plot(cells: Cells, path: Path, eps: float) -> None:
    """Top-1 under each attack, a mark for each system; attacks of one kind side by side."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shares = by_seed(cells)
    attacks = [a for a in PLOTTED if any((n, a, eps) in shares for n, _, _ in shares)]
    with rc_context({"svg.hashsalt": "attacks", "font.size": 9}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", linewidth=0.4)
        names = list(dict.fromkeys(n for n, _, _ in shares))
        for i, name in enumerate(names):
            values = [shares.get((name, a, eps)) for a in attacks]
            beside = 0.1 * (i - (len(names) - 1) / 2)
            places = [x + beside for x, v in enumerate(values) if v]
            axes.errorbar(
                places,
                [mean(v) for v in values if v],
                yerr=[stdev(v) if len(v) > 1 else 0.0 for v in values if v],
                label=name,
                marker="osD^vPX"[i % 7],
                markersize=5,
                linestyle="none",
                color="#777" if i == 0 else f"C{i - 1}",
            )
        axes.set_xticks(range(len(attacks)), attacks, rotation=20)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(f"top-1 in percent, eps {eps:g}/255")
        axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def page(path: Path, picture: Path | None) -> None:
    """Print the tables, and draw."""
    cells = read(path)
    print("\n".join(tables(cells)))
    if picture is not None:
        plot(cells, picture, min(eps for _, _, eps in cells if eps))


def _cell(values: list[float] | None) -> str:
    if not values:
        return ""
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _half_width(right: int, count: int) -> float:
    interval = binomtest(right, count).proportion_ci(method="wilson")
    return 50 * (interval.high - interval.low)
