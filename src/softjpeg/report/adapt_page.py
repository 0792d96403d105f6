"""One page on an adapter: what it is worth on images that did not train, and its strengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from softjpeg.adaptation.adapter import Adapter
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.svg import ACCENT, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEASURED = ("gain", "figures", "clean_drop", "judged_on", "loss")


def adapt_page(adapter: Adapter, *, title: str) -> str:
    """An adapter as HTML, self-contained; save it with `softjpeg.common.files.write_text`.

    Args:
        adapter: of `softjpeg.adapt`, whose provenance holds what was measured.
        title: of the page.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
        ValueError: the provenance holds no figures.
    """
    facts = adapter.provenance
    missing = next((name for name in _MEASURED if name not in facts), None)
    if missing is not None:
        raise ValueError(f"the adapter must hold {missing!r} in its provenance")
    figures: Sequence[Mapping[str, Any]] = facts["figures"]
    return render_template(
        "adapt_page.html",
        title=title,
        gain=facts["gain"],
        judged_on=facts["judged_on"],
        loss=facts["loss"],
        figures=figures,
        losses=as_markup(to_svg(lambda axes: _losses(axes, figures), salt="losses")),
        strengths=as_markup(to_svg(lambda axes: _strengths(axes, figures), salt="strengths")),
        clean_drop=facts["clean_drop"],
        fixed_strength=adapter.fixed_strength,
        weights=sum(weight.numel() for weight in adapter.base.values()),
        facts={k: str(v) for k, v in facts.items() if k not in _MEASURED},
    )


def _losses(axes: Axes, figures: Sequence[Mapping[str, Any]]) -> None:
    rates = [figure["bpp"] for figure in figures]
    for name, color, marker in (("frozen", MUTED, "s"), ("adapted", ACCENT, "o")):
        losses = [figure[name] for figure in figures]
        axes.plot(rates, losses, marker=marker, markersize=4.5, color=color, label=name, zorder=3)
    axes.set_xlabel("bits per pixel")
    axes.legend(frameon=False)


def _strengths(axes: Axes, figures: Sequence[Mapping[str, Any]]) -> None:
    steps = [figure["step"] for figure in figures]
    axes.plot(steps, [figure["strength"] for figure in figures], "o-", color=ACCENT, zorder=3)
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlabel("mean logarithm of the file's luma steps")
