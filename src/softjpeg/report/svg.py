"""Drawings by matplotlib as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from softjpeg.common.extras import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Matplotlib cannot draw in CSS variables, so it draws in colours that stand for them.
INK, MUTED, LINE, ACCENT = "#000001", "#000002", "#000003", "#000004"
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent"}
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
}


def to_svg(
    draw: Callable[[Axes], None], *, salt: str, size: tuple[float, float] = (4.2, 3.2)
) -> str:
    """One drawing of one pair of axes.

    Args:
        draw: draws on empty axes with a grid, in the colours INK, MUTED, LINE and ACCENT.
        salt: keeps the identifiers of several drawings on one page apart.
        size: (width, height) in inches; the page scales it.

    Returns:
        An ``<svg>`` element; its colours are the variables --ink, --muted, --line and --accent.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import_extra("matplotlib", extra="report")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": salt}):  # type: ignore[dict-item]
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(zorder=0)
        axes.set_axisbelow(True)
        draw(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue())


def _inline(svg: str) -> str:
    """The drawing without its file header, metadata and fixed colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{variable})")
    return svg
