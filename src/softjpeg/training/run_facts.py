"""What a checkpoint says of its run, checked: it comes from a file that anyone may have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from softjpeg.common.bounds import MAX_CLASSES
from softjpeg.common.brief import brief
from softjpeg.training.recipe_section import Count, CountOrNone


class _Result(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    top1: float
    best_top1: float


class _Facts(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    recipe: dict[str, Any]
    variant: str
    seed: CountOrNone
    world: Count
    classes: Annotated[list[str], Field(min_length=1, max_length=MAX_CLASSES)]
    step: CountOrNone
    best: tuple[float, CountOrNone]
    result: _Result | Annotated[dict[str, Any], Field(max_length=0)]
    initial_tables: list[list[list[list[float]]]] | None = None
    tested: CountOrNone = 0
    skipped: CountOrNone = 0
    losses: tuple[float, CountOrNone] = (0.0, 0)


def check_facts(facts: Mapping[str, Any], path: Path) -> None:
    """Raise ValueError, one sentence with the value's path, unless these are a run's facts.

    >>> check_facts({"recipe": {}}, Path("a.safetensors"))
    Traceback (most recent call last):
    ...
    ValueError: checkpoint a.safetensors: variant: field required
    """
    try:
        _Facts.model_validate(facts)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" else f", got {brief(first['input'])}"
        words = first["msg"]
        raise ValueError(
            f"checkpoint {path}: {key}: {words[0].lower()}{words[1:]}{found}"
        ) from None
