"""Pages of HTML from the templates of this package; each needs nothing beside it."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from softjpeg.evaluation.comparison import signed


@contextmanager
def report_extra() -> Iterator[None]:
    """Tell whoever lacks jinja2 or matplotlib how to install them.

    Raises:
        ModuleNotFoundError: a package that the block imports is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        wanted = 'pip install "softjpeg[report]"'
        raise ModuleNotFoundError(f"the report needs {error.name}: run {wanted}") from error


def render_template(name: str, **values: Any) -> str:
    """The template called `name`, filled in; what is not Markup is escaped.

    Raises:
        ModuleNotFoundError: jinja2 is not installed.
    """
    with report_extra():
        from jinja2 import Environment, FunctionLoader, StrictUndefined

    jinja = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters.update(percent=_percent, number=_number, signed=signed, data_url=data_url)
    return jinja.get_template(name).render(**values)


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
