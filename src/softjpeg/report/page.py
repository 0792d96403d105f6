"""Pages of HTML from the templates of this package; each needs nothing beside it."""

from __future__ import annotations

import base64
import math
from importlib import resources
from typing import Any

from softjpeg.common.extras import import_extra
from softjpeg.evaluation.comparison import signed


def render_template(name: str, **values: Any) -> str:
    """The template called `name`, filled in; what is not Markup is escaped.

    Raises:
        ImportError: jinja2 is not installed.
    """
    jinja2 = import_extra("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=_percent, number=_number, signed=signed, data_url=data_url)
    page: str = environment.get_template(name).render(**values)
    return page


def as_markup(drawing: str) -> Any:
    """A drawing (an ``<svg>`` element) that a template puts into its page as it is.

    Raises:
        ImportError: jinja2 is not installed.
    """
    return import_extra("markupsafe", extra="report").Markup(drawing)


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """A file as a URL that holds it.

    >>> data_url(b"abc")
    'data:image/png;base64,YWJj'
    """
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _percent(share: float | None, digits: int = 1) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}"


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"
