"""Presets beside default JPEG at equal bytes and at equal fidelity, and the outcome in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softjpeg.evaluation import bd_rate as bd
from softjpeg.evaluation.points import RatePoint, at_equal_bpp

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Comparison:
    """A preset, and what default JPEG does at its rate.

    Attributes:
        learned: the preset's point.
        default: the measured default with the fewest bytes that are not fewer; None when there is
            none.
        agreement, top1, kl: default JPEG's at exactly the preset's rate, interpolated; NaN outside
            the measured rates, `top1` None without labels.
        bytes_saved: share of default JPEG's bytes that the preset saves at equal KL, as
            `bd_rate.best_saving` has it; negative when it needs more, NaN outside the measured KL.
    """

    learned: RatePoint
    default: RatePoint | None
    agreement: float
    top1: float | None
    kl: float
    bytes_saved: float


def compare(points: Sequence[RatePoint]) -> list[Comparison]:
    """Every preset among the points of `softjpeg.evaluate`, in their order, beside default JPEG.

    >>> low = RatePoint("default q 10", "default", "4:2:0", 100, 1.0, 0.9, None, 0.5, 0.4)
    >>> high = RatePoint("default q 30", "default", "4:2:0", 400, 4.0, 3.9, None, 0.7, 0.1)
    >>> mine = RatePoint("mine", "hard", "4:2:0", 150, 1.5, 1.4, None, 0.6, 0.2)
    >>> comparison = compare([low, high, mine])[0]
    >>> comparison.default.name, round(comparison.bytes_saved, 3)
    ('default q 30', 0.25)
    """
    defaults = _best([p for p in points if p.mode == "default"])
    reference = _curve(defaults)
    labelled = any(p.top1 is not None for p in points)
    comparisons = []
    for p in points:
        if p.mode in ("default", "none", "other"):
            continue
        larger = [d for d in defaults if d.bytes_per_file >= p.bytes_per_file]
        comparisons.append(
            Comparison(
                learned=p,
                default=min(larger, key=lambda d: d.bytes_per_file, default=None),
                agreement=at_equal_bpp(defaults, p.bpp, "agreement"),
                top1=at_equal_bpp(defaults, p.bpp, "top1") if labelled else None,
                kl=at_equal_bpp(defaults, p.bpp, "kl"),
                bytes_saved=float(bd.best_saving(_curve([p]), reference)[0]),
            )
        )
    return comparisons


def headline(comparisons: Sequence[Comparison]) -> str:
    """The outcome in one sentence, whoever wins.

    >>> point = RatePoint("mine", "hard", "4:2:0", 150, 1.5, 1.4, None, 0.6, 0.2)
    >>> headline([Comparison(point, None, 0.6, None, 0.2, s) for s in (-0.01, 0.04)])
    'No clear winner: at the same fidelity, learned files are from 1.0 % larger to 4.0 % smaller \
than default JPEG.'
    """
    saved = sorted(c.bytes_saved for c in comparisons if not math.isnan(c.bytes_saved))
    if not comparisons:
        return "Default JPEG was measured; there is no preset beside it."
    if not saved:
        return "Nothing to compare: default JPEG was not measured at the learned files' fidelity."
    if saved[0] > 0:
        size = f"{_span(saved[0], saved[-1])} % smaller than"
        return f"At the same fidelity, learned files are {size} default JPEG."
    if saved[-1] <= 0:
        size = f"{_span(-saved[-1], -saved[0])} % larger"
        return f"Default JPEG wins: at the same fidelity, learned files are {size}."
    size = f"from {-100 * saved[0]:.1f} % larger to {100 * saved[-1]:.1f} % smaller than"
    return f"No clear winner: at the same fidelity, learned files are {size} default JPEG."


def signed(share: float) -> str:
    """A share in percent with its sign, or a dash for NaN.

    >>> signed(0.0312), signed(-0.2)
    ('+3.1', '−20.0')
    """
    return "–" if math.isnan(share) else f"{100 * share:+.1f}".replace("-", "−")


def table(comparisons: Sequence[Comparison], title: str | None = None) -> Table:
    """The comparisons as a rich table: two rows each, the preset and default JPEG at its bytes."""
    from rich.table import Table

    labelled = any(c.top1 is not None for c in comparisons)
    view = Table(
        title=title,
        caption="default JPEG at the same bytes; saved: bytes, at equal KL",
    )
    view.add_column("")
    numbers = ["bytes/file", "bpp", "agree %"] + ["top-1 %"] * labelled + ["KL (nats)"]
    for name in [*numbers, "saved %"]:
        view.add_column(name, justify="right")
    for c in comparisons:
        p = c.learned
        size = (f"{p.bytes_per_file:,.0f}", f"{p.bpp:.3f}")
        learned = [_percent(p.agreement)] + [_percent(p.top1)] * labelled + [f"{p.kl:.4f}"]
        default = [_percent(c.agreement)] + [_percent(c.top1)] * labelled + [f"{c.kl:.4f}"]
        view.add_row(p.name, *size, *learned, signed(c.bytes_saved))
        view.add_row("default JPEG", *size, *default, "", end_section=True)
    return view


def _best(defaults: list[RatePoint]) -> list[RatePoint]:
    """Of several subsamplings, the points that no other one beats in bytes and KL."""
    if len({p.subsampling for p in defaults}) < 2:
        return defaults
    return [
        p
        for p in defaults
        if not any(o.bpp <= p.bpp and o.kl <= p.kl and o is not p for o in defaults)
    ]


def _curve(points: Sequence[RatePoint]) -> bd.Curve:
    return bd.front([p.bpp for p in points], bd.as_quality([p.kl for p in points], "kl"))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _span(low: float, high: float) -> str:
    words = f"{100 * low:.1f}", f"{100 * high:.1f}"
    return words[0] if words[0] == words[1] else " to ".join(words)
