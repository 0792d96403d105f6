"""Rate-accuracy curves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softjpeg.evaluation.points import RatePoint
from softjpeg.report.svg import ACCENT, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16)
_DIVERGENCES = [d * 10.0**e for e in range(-6, 3) for d in (1, 2, 5)]


def curve(points: Sequence[RatePoint], field: str) -> str:
    """One measure over the rate: default JPEG as a line, every preset as a dot.

    Args:
        points: as `softjpeg.evaluate` returns them.
        field: "kl" (logarithmic), "agreement" or "top1" (percent).

    Returns:
        An ``<svg>`` element; its colours are the variables --ink, --muted, --line and --accent.
    """
    return to_svg(lambda axes: _draw(axes, points, field), salt=field)


def _draw(axes: Axes, points: Sequence[RatePoint], field: str) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    series: dict[tuple[bool, str, str], list[tuple[float, float]]] = defaultdict(list)
    for p in points:
        value = getattr(p, field)
        if p.mode != "none" and value is not None and (field != "kl" or value > 0):
            scaled = value if field == "kl" else 100 * value
            series[p.mode == "default", p.mode, p.subsampling].append((p.bpp, scaled))
    for (is_default, _, _), pairs in series.items():
        x, y = zip(*sorted(pairs), strict=True)
        if is_default:
            axes.plot(x, y, "o-", color=MUTED, markersize=3, linewidth=1.2, zorder=2)
        else:
            axes.plot(x, y, "o-", color=ACCENT, markersize=6.5, linewidth=1.2, zorder=3)
    uncompressed = [p.top1 for p in points if p.mode == "none" and p.top1 is not None]
    if field == "top1" and uncompressed:
        axes.axhline(100 * uncompressed[0], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    rates = [x for pairs in series.values() for x, _ in pairs]
    values = [y for pairs in series.values() for _, y in pairs]
    number = FuncFormatter(lambda value, _: f"{value:g}")
    if rates:
        axes.set_xscale("log")
        axes.set_xlim(0.85 * min(rates), 1.18 * max(rates))
        axes.set_xticks([r for r in _RATES if 0.85 * min(rates) <= r <= 1.18 * max(rates)])
    if field == "kl" and values:
        axes.set_yscale("log")
        axes.set_ylim(0.8 * min(values), 1.25 * max(values))
        axes.set_yticks([d for d in _DIVERGENCES if min(values) <= d <= max(values)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(number)
    axes.set_xlabel("bits per pixel")
