"""The page of a rate-accuracy comparison: numbers, curves, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from softjpeg.evaluation.changed_answers import ChangedAnswers
from softjpeg.evaluation.comparison import Comparison, compare, headline
from softjpeg.evaluation.points import RatePoint
from softjpeg.jpeg.tables import quality_tables
from softjpeg.presets.preset import Preset
from softjpeg.report.heatmap import HeatMap, heat_map, log_share
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.pictures import Picture
from softjpeg.report.plots import curve

_FINEST = 6
"""Steps up to it are nearly white."""


@dataclass(frozen=True, eq=False)
class Report:
    """What a page shows.

    Attributes:
        title: of the page.
        points: as `softjpeg.evaluate` returns them.
        presets: by the names of their points; their quantization tables are shown.
        notes: sentences below the headline: what was measured, how far it carries.
        pictures: side by side.
        pictures_note: how these pictures were chosen.
        facts: how it was made, a line each: network, data, seed, machine, ...
        seconds: (wall clock, CPU) by part.
        changes: whose answers changed, of the presets.
        names: of the images, for the changes.
        lead: a sentence above the one that the points give; "" for none.
    """

    title: str
    points: Sequence[RatePoint]
    presets: Mapping[str, Preset] = field(default_factory=dict)
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    pictures_note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    changes: Sequence[ChangedAnswers] = ()
    names: Sequence[str] = ()
    lead: str = ""


def render(report: Report) -> str:
    """The report as HTML, self-contained; save it with `softjpeg.common.files.write_atomically`.

    Raises:
        ImportError: jinja2 or matplotlib is not installed.
    """
    curves = {name: as_markup(curve(report.points, name)) for name in _measures(report.points)}
    comparisons = compare(report.points)
    return render_template(
        "template.html",
        report=report,
        headline=headline(comparisons),
        comparisons=comparisons,
        banded=any(p.images is not None for p in report.points),
        labelled=any(p.top1 is not None for p in report.points),
        curves=curves,
        ladders=[(c, heatmaps) for c in comparisons if (heatmaps := _heatmaps(c, report.presets))],
    )


def _measures(points: Sequence[RatePoint]) -> list[str]:
    labelled = any(p.top1 is not None for p in points)
    return ["kl", "agreement"] + ["top1"] * labelled


def _heatmaps(comparison: Comparison, presets: Mapping[str, Preset]) -> list[HeatMap]:
    """The preset's tables, each followed by default JPEG's at equal bytes."""
    preset = presets.get(comparison.learned.name)
    if preset is None:
        return []
    maps = [("luma, learned", preset.luma), ("chroma, learned", preset.chroma)]
    if comparison.default is not None:
        name = comparison.default.name
        luma, chroma = quality_tables(int(name.rpartition(" ")[2]))
        maps[1:1] = [(f"luma, {name}", luma)]
        maps += [(f"chroma, {name}", chroma)]
    return [_steps(caption, torch.as_tensor(table)) for caption, table in maps]


def _steps(caption: str, table: Tensor) -> HeatMap:
    return heat_map(caption, table, log_share(table, _FINEST, 255), lambda q: str(int(q)))
