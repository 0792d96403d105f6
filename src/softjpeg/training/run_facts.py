"""What a checkpoint says of its run, checked: it comes from a file that anyone may have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from softjpeg.common.bounds import MAX_CLASSES
from softjpeg.common.brief import brief
from softjpeg.training.recipe_section import Count, CountOrNone

_Step = Annotated[float, Field(strict=True, gt=0, le=65535)]
_Row = Annotated[list[_Step], Field(min_length=8, max_length=8)]
_Table = Annotated[list[_Row], Field(min_length=8, max_length=8)]


def _of_one_shape(rounds: list[list[Any]]) -> list[list[Any]]:
    """Of as many tables each, as a tensor has them."""
    if len(set(map(len, rounds))) != 1:
        raise ValueError("every round must have as many tables")
    return rounds


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
    initial_tables: Annotated[list[list[_Table]], AfterValidator(_of_one_shape)] | None = None
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
