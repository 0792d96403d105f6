"""What the sections of a recipe have in common: no unknown keys, and numbers of known ranges."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from softjpeg.common.bounds import MAX_COUNT

NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
CountOrNone = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class Section(BaseModel):
    """Typed keys; one that is not there is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
