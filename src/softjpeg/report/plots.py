"""Rate-accuracy curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from softjpeg.evaluation.bootstrap import point_intervals, resample_means
from softjpeg.evaluation.points import RatePoint
from softjpeg.report.svg import ACCENT, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)
_DIVERGENCES = [d * 10.0**e for e in range(-6, 3) for d in (1, 2, 5)]


def curve(points: Sequence[RatePoint], field: str) -> str:
    """One measure over the rate: default JPEG as a line, every preset as a dot, with 95 % bands.

    Args:
        points: as `softjpeg.evaluate` returns them.
        field: "kl" (logarithmic), "agreement" or "top1" (percent).

    Returns:
        An ``<svg>`` element; its colours are the variables --ink, --muted, --line and --accent.
    """
    return to_svg(lambda axes: _draw(axes, points, field), salt=field)


def _draw(axes: Axes, points: Sequence[RatePoint], field: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    scale = 1 if field == "kl" else 100
    bounds = point_intervals(points, resample_means(points))
    series: dict[tuple[bool, str, str], list[tuple[float, ...]]] = defaultdict(list)
    for p, interval in zip(points, bounds, strict=True):
        value = getattr(p, field)
        if p.mode != "none" and value is not None and (field != "kl" or value > 0):
            around = interval[field]
            values = (value, around.low, around.high)
            row = (p.bpp, *(scale * v for v in values))
            series[p.mode == "default", p.mode, p.subsampling].append(row)
    for (is_default, _, _), rows in series.items():
        x, y, low, high = zip(*sorted(rows), strict=True)
        if not np.isnan((low, high)).any():
            color = MUTED if is_default else ACCENT
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
            if not is_default:
                # A preset alone has no band.
                axes.vlines(x, low, high, color=color, linewidth=1, alpha=0.5)
        if is_default:
            axes.plot(x, y, "o-", color=MUTED, markersize=3, linewidth=1.2, zorder=2)
        else:
            axes.plot(x, y, "o-", color=ACCENT, markersize=6.5, linewidth=1.2, zorder=3)
    uncompressed = [p.top1 for p in points if p.mode == "none" and p.top1 is not None]
    if field == "top1" and uncompressed:
        axes.axhline(100 * uncompressed[0], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    rates = [row[0] for rows in series.values() for row in rows]
    shown = [row[1] for rows in series.values() for row in rows]
    number = FuncFormatter(lambda value, _: f"{value:g}")
    if rates:
        axes.set_xscale("log")
        axes.set_xlim(0.85 * min(rates), 1.18 * max(rates))
        axes.set_xticks([r for r in _RATES if 0.85 * min(rates) <= r <= 1.18 * max(rates)])
    if field == "kl" and shown:
        axes.set_yscale("log")
        axes.set_ylim(0.8 * min(shown), 1.25 * max(shown))
        axes.set_yticks([d for d in _DIVERGENCES if min(shown) <= d <= max(shown)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(number)
    axes.set_xlabel("bits per pixel")
