"""Rate-accuracy curves as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from softjpeg.evaluation import RatePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Matplotlib cannot draw in CSS variables, so it draws in colours that stand for them.
_INK, _MUTED, _LINE, _ACCENT = "#000001", "#000002", "#000003", "#000004"
_VARIABLES = {_INK: "ink", _MUTED: "muted", _LINE: "line", _ACCENT: "accent"}
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
}
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
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # The salt keeps the identifiers of several drawings on one page apart.
    with rc_context({**_STYLE, "svg.hashsalt": field}):  # type: ignore[dict-item]
        figure = Figure(figsize=(4.2, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(zorder=0)
        axes.set_axisbelow(True)
        _draw(axes, points, field)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue())


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
            axes.plot(x, y, "o-", color=_MUTED, markersize=3, linewidth=1.2, zorder=2)
        else:
            axes.plot(x, y, "o-", color=_ACCENT, markersize=6.5, linewidth=1.2, zorder=3)
    uncompressed = [p.top1 for p in points if p.mode == "none" and p.top1 is not None]
    if field == "top1" and uncompressed:
        axes.axhline(100 * uncompressed[0], color=_MUTED, linewidth=1, linestyle=(0, (4, 3)))
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


def _inline(svg: str) -> str:
    """The drawing without its file header, metadata and fixed colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable})")
    return svg
