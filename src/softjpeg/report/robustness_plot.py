"""Accuracy over the strength of an attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from softjpeg.evaluation.robustness.points import Check, RobustnessMean, RobustnessPoint, over_runs
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.svg import ACCENT, INK, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = [
    (color, line, marker)
    for line, marker in (("-", "o"), ("--", "s"), (":", "^"))
    for color in (MUTED, ACCENT, INK)
]


_LABEL = 30
"""Characters of a name in a legend; longer ones lose their middle."""


def robustness_curve(points: Sequence[RobustnessPoint], attack: str) -> str:
    """Top-1 in percent over eps: a line for each network, ±1 standard deviation over its runs.

    Args:
        points: as `softjpeg.evaluation.robustness.accuracy_under_attack.robustness` returns them.
        attack: which attack; the accuracy without one is drawn at eps 0.

    Returns:
        An ``<svg>`` element; its colours are the variables --ink, --muted, --line and --accent.

    Raises:
        ValueError: no point of this attack.

    >>> points = [RobustnessPoint("a", 0, "pgd", eps, 1 / eps, 10) for eps in (1.0, 2.0)]
    >>> robustness_curve(points, "pgd")[:4]
    '<svg'
    """
    means = [m for m in over_runs(points) if m.attack in ("none", attack)]
    if not any(m.attack == attack for m in means):
        raise ValueError(f"attack must be one that was measured, got {attack!r}")
    return to_svg(lambda axes: _draw(axes, means), salt=f"robustness {attack}")


def robustness_page(
    points: Sequence[RobustnessPoint],
    checks: Mapping[str, Sequence[Check]],
    *,
    title: str,
    facts: Mapping[str, str],
) -> str:
    """The curves of all attacks, and the checks of each network, as a self-contained page.

    Args:
        points: as `softjpeg.evaluation.robustness.accuracy_under_attack.robustness` returns them.
        checks: network → what `masking_checks` found.
        title: of the page.
        facts: how it was made, a line each.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
    """
    attacks = dict.fromkeys(p.attack for p in points if p.attack != "none")
    curves = {attack: as_markup(robustness_curve(points, attack)) for attack in attacks}
    return render_template(
        "robustness_page.html",
        title=title,
        curves=curves,
        means=over_runs(points),
        checks=checks,
        facts=facts,
    )


def _draw(axes: Axes, means: Sequence[RobustnessMean]) -> None:
    from matplotlib.ticker import FuncFormatter

    networks = list(dict.fromkeys(m.network for m in means))
    for i, network in enumerate(networks):
        network_means = sorted((m for m in means if m.network == network), key=lambda m: m.eps)
        spread = [100 * (m.deviation or 0.0) for m in network_means]
        color, line, marker = _STYLES[i % len(_STYLES)]
        axes.errorbar(
            [m.eps for m in network_means],
            [100 * m.top1 for m in network_means],
            yerr=spread if any(spread) else None,
            label=network if len(network) <= _LABEL else f"{network[:12]}…{network[-16:]}",
            color=color,
            linestyle=line,
            marker=marker,
            markersize=4.5,
            linewidth=1.2,
            capsize=3,
            zorder=2,
        )
    axes.set_xticks(sorted({m.eps for m in means}))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("eps in levels of 255")
    axes.set_ylabel("top-1 in percent")
    axes.legend(frameon=False, fontsize=8.5)
