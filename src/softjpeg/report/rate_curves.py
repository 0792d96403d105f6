"""Curves of several encoders over the rate, with 95 % bands over images."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softjpeg.common.extras import import_extra
from softjpeg.common.files import write_atomically, write_text
from softjpeg.evaluation.bootstrap import resample_means
from softjpeg.evaluation.gain import Gain
from softjpeg.evaluation.points import RatePoint
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.svg import MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".html", ".png", ".svg")
LABELS = {
    "top1": "top-1, %",
    "agreement": "same answer, %",
    "kl": "KL, nats",
    "ssim": "SSIM, %",
    "bpp": "bits per pixel, whole files",
    "scan_bpp": "bits per pixel, scans",
}
# Mid-tones, seen on white and on black.
_COLORS = ("#0a7bd6", "#e0662a", "#2a9d4b", "#b1459b", "#b8900f", "#1aa0ae", "#d43d51", "#7a63c9")
_LINES = ("solid", "dashed", "dotted", "dashdot")
_RATES = tuple(2.0**e for e in range(-6, 6))
_DIVERGENCES = [d * 10.0**e for e in range(-6, 3) for d in (1, 2, 5)]
_GRAY = "#808080"


def draw_curves(
    axes: Axes,
    points: Sequence[RatePoint],
    means: Mapping[str, Any],
    field: str,
    rate: str = "bpp",
    muted: str = _GRAY,
) -> None:
    """One measure of one network over the logarithm of the rate, a line for each curve.

    Args:
        axes: empty.
        points: of one network, with `curve` set.
        means: of these points, from `softjpeg.evaluation.bootstrap.resample_means`; the bands.
        field: "kl" (logarithmic), "agreement", "top1" or "ssim" (percent).
        rate: "bpp" or "scan_bpp".
        muted: the colour of default JPEG and of the uncompressed images' line.
    """
    from matplotlib.ticker import FuncFormatter, NullLocator

    scale = 1 if field == "kl" else 100
    shown_x, shown_y = [], []
    for curve, (color, line) in styles(points, muted).items():
        columns = [i for i, p in enumerate(points) if p.curve == curve and p.mode != "none"]
        columns = sorted(columns, key=lambda i: means[rate][0, i])
        x, y = means[rate][0, columns], scale * means[field][:, columns]
        known = np.isfinite(x) & np.isfinite(y[0]) & ((y[0] > 0) | (field != "kl"))
        x, y = x[known], y[:, known]
        if not len(x):
            continue
        shown_x += x.tolist()
        shown_y += y[0].tolist()
        axes.plot(x, y[0], marker="o", color=color, linestyle=line, markersize=3, linewidth=1.3)
        if np.isfinite(y[1:]).all() and len(y) > 1:
            low, high = np.percentile(y[1:], [2.5, 97.5], axis=0)
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    uncompressed = [p.top1 for p in points if p.mode == "none" and p.top1 is not None]
    if field == "top1" and uncompressed:
        axes.axhline(100 * uncompressed[0], color=muted, linewidth=1, linestyle=(0, (4, 3)))
    if shown_x:
        low, high = 0.85 * min(shown_x), 1.18 * max(shown_x)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks([r for r in _RATES if low <= r <= high])
    if shown_y and field == "kl":
        axes.set_yscale("log")
        axes.set_yticks([d for d in _DIVERGENCES if min(shown_y) <= d <= max(shown_y)])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(LABELS[rate])
    axes.set_ylabel(LABELS[field])


def styles(points: Sequence[RatePoint], muted: str = _GRAY) -> dict[str, tuple[str, Any]]:
    """(colour, line style) of every curve: default JPEG muted, the others in colours."""
    curve_styles = {}
    seen = {True: 0, False: 0}
    for point in points:
        if point.mode == "none" or point.curve in curve_styles:
            continue
        default = point.mode == "default"
        i = seen[default]
        seen[default] += 1
        colors = (muted,) if default else _COLORS
        curve_styles[point.curve] = colors[i % len(colors)], _LINES[i // len(colors) % len(_LINES)]
    return curve_styles


def curves_page(
    points: Sequence[RatePoint],
    gains: Sequence[Gain],
    *,
    title: str,
    facts: Mapping[str, Any],
    resamples: int = 1000,
    seed: int = 0,
) -> str:
    """Gains as a table and curves as drawings: a self-contained page.

    Args:
        points: as `evaluation.results.load_json` returns them.
        gains: of the points.
        title: of the page.
        facts: how it was made, a line each.
        resamples, seed: of the bands.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
    """
    means = resample_means(points, resamples, seed)
    panels: dict[str, dict[str, Any]] = {}
    for reader, columns in _by_reader(points).items():
        read = [points[i] for i in columns]
        for rate in ("bpp", "scan_bpp"):
            drawings = panels.setdefault(reader, {}).setdefault(rate, {})
            for field in _fields(points):
                ours = {name: values[:, columns] for name, values in means.items()}
                drawings[field] = as_markup(_svg(read, ours, field, rate))
    quality = "top1" if "top1" in _fields(points) else "agreement"
    rows: dict[tuple[str, str], dict[str, Gain]] = {}
    for gain in gains:
        rows.setdefault((gain.curve, gain.reader), {})[f"{gain.quality} {gain.rate}"] = gain
    return render_template(
        "curves_page.html",
        title=title,
        rows=rows,
        quality=quality,
        seen="ssim" in _fields(points),
        labels=LABELS,
        readers=any(p.reader for p in points),
        styles=styles(points, "var(--muted)"),
        panels=panels,
        facts=facts,
    )


def save_plot(
    path: Path, points: Sequence[RatePoint], gains: Sequence[Gain], facts: Mapping[str, Any]
) -> None:
    """Write a page (.html) or a picture (.png, .svg) of the curves, by the name's ending.

    Args:
        path: of the file.
        points: whose curves are drawn.
        gains: of the points, for the page's table.
        facts: how the points were measured, a line each, for the page.

    Raises:
        ValueError: another ending.
        ImportError: jinja2 or matplotlib is not installed.
    """
    check_format(path)
    if path.suffix.lower() == ".html":
        page = curves_page(points, gains, title="Rate and answers", facts=facts)
        write_text(path, page)
    else:
        write_atomically(path, _picture(points, path.suffix.lower()[1:]))


def check_format(path: Path) -> None:
    """ValueError unless a plot can be written to such a name."""
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a plot must end in {', '.join(FORMATS)}, got {str(path)!r}")


def _picture(points: Sequence[RatePoint], form: str) -> bytes:
    """A row for each network and kind of rate, a column for each measure."""
    import_extra("matplotlib", extra="report")
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    means, fields = resample_means(points), _fields(points)
    rows = [(reader, rate) for reader in _by_reader(points) for rate in ("bpp", "scan_bpp")]
    width, height = 4.2 * len(fields), 3.1 * len(rows) + 0.5
    with rc_context({"svg.hashsalt": "rate curves", "font.size": 9.5}):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(len(rows), len(fields), squeeze=False)
        for (reader, rate), line in zip(rows, grid, strict=True):
            columns = _by_reader(points)[reader]
            ours = {name: values[:, columns] for name, values in means.items()}
            for field, axes in zip(fields, line, strict=True):
                axes.grid(color="#e0e0e0", linewidth=0.6)
                axes.set_axisbelow(True)
                draw_curves(axes, [points[i] for i in columns], ours, field, rate)
                axes.set_title(reader, fontsize=9.5)
        key = [
            Line2D([], [], color=color, linestyle=line, label=curve, marker="o", markersize=3)
            for curve, (color, line) in styles(points).items()
        ]
        figure.legend(handles=key, loc="outside lower center", ncols=6, frameon=False)
        buffer = io.BytesIO()
        metadata = {"Date": None} if form == "svg" else None
        figure.savefig(buffer, format=form, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _svg(points: Sequence[RatePoint], means: Mapping[str, Any], field: str, rate: str) -> str:
    salt = f"{points[0].reader} {field} {rate}"
    return to_svg(lambda axes: draw_curves(axes, points, means, field, rate, MUTED), salt=salt)


def _by_reader(points: Sequence[RatePoint]) -> dict[str, list[int]]:
    columns: dict[str, list[int]] = {}
    for i, point in enumerate(points):
        columns.setdefault(point.reader, []).append(i)
    return columns


def _fields(points: Sequence[RatePoint]) -> list[str]:
    labelled = any(p.top1 is not None for p in points)
    seen = any(not math.isnan(p.ssim) for p in points)
    return ["top1"] * labelled + ["agreement", "kl"] + ["ssim"] * seen
