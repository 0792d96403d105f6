"""One page of HTML that needs nothing beside it: pictures, curves and styles are inside."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from softjpeg.evaluation import RatePoint
from softjpeg.preset import Preset
from softjpeg.report.comparison import Comparison, compare, headline, signed
from softjpeg.report.pictures import Picture, Version
from softjpeg.report.plots import curve
from softjpeg.tables import Table, quality_tables

# Steps up to the finest are nearly white, 255 is dark blue, and colour is logarithmic between.
_FINEST, _LIGHT, _DARK = 6, (243, 247, 251), (6, 44, 92)


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
    """

    title: str
    points: Sequence[RatePoint]
    presets: Mapping[str, Preset] = field(default_factory=dict)
    notes: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    pictures_note: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def render(report: Report) -> str:
    """The report as HTML, self-contained; save it with `softjpeg.files.write_atomically`.

    Raises:
        ModuleNotFoundError: jinja2 or matplotlib is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup

        curves = {name: Markup(curve(report.points, name)) for name in _measures(report.points)}
    except ModuleNotFoundError as error:
        wanted = 'pip install "softjpeg[report]"'
        raise ModuleNotFoundError(f"the report needs {error.name}: run {wanted}") from error
    jinja = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.filters.update(percent=_percent, number=_number, signed=signed, inline=_inline)
    template = resources.files(__package__).joinpath("template.html").read_text(encoding="utf-8")
    comparisons = compare(report.points)
    return jinja.from_string(template).render(
        report=report,
        headline=headline(comparisons),
        comparisons=comparisons,
        labelled=any(p.top1 is not None for p in report.points),
        curves=curves,
        ladders=[(c, heatmaps) for c in comparisons if (heatmaps := _heatmaps(c, report.presets))],
    )


def _measures(points: Sequence[RatePoint]) -> list[str]:
    labelled = any(p.top1 is not None for p in points)
    return ["kl", "agreement"] + ["top1"] * labelled


def _heatmaps(comparison: Comparison, presets: Mapping[str, Preset]) -> list[dict[str, Any]]:
    """The preset's tables, each followed by default JPEG's at equal bytes."""
    preset = presets.get(comparison.learned.name)
    if preset is None:
        return []
    maps = [("luma", "learned", preset.luma), ("chroma", "learned", preset.chroma)]
    if comparison.default is not None:
        name = comparison.default.name
        luma, chroma = quality_tables(int(name.rpartition(" ")[2]))
        maps[1:1] = [("luma", name, luma)]
        maps += [("chroma", name, chroma)]
    return [
        {"component": component, "encoder": encoder, "rows": _cells(table)}
        for component, encoder, table in maps
    ]


def _cells(table: Table) -> list[list[tuple[int, str, str]]]:
    """Each entry with its background and text colours."""
    return [[(int(q), *_shade(int(q))) for q in row] for row in table]


def _shade(step: int) -> tuple[str, str]:
    share = (math.log(max(step, _FINEST)) - math.log(_FINEST)) / math.log(255 / _FINEST)
    mixed = [round(a + (b - a) * share) for a, b in zip(_LIGHT, _DARK, strict=True)]
    return "#" + bytes(mixed).hex(), "#ffffff" if share > 0.5 else "#10202f"


def _inline(version: Version) -> str:
    """The file as a data URL."""
    return f"data:{version.media_type};base64,{base64.b64encode(version.data).decode()}"


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}"


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"
