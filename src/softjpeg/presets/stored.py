"""What of an image a preset stores: how many pixels, and which part of them whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from softjpeg.common.brief import brief


def check_short_side(value: Any) -> int | None:
    """The shorter side of stored images, as `Preset` has it.

    Raises:
        ValueError: neither None nor a whole number from 1 to 65535.

    >>> check_short_side(np.int64(256))
    256
    """
    if value is None:
        return None
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 1 <= value <= 65535:
        raise ValueError(f"short_side must be a whole number from 1 to 65535, got {brief(value)}")
    return int(value)


def check_center(value: Any) -> float | None:
    """The share that is stored whole, as `Preset` has it.

    Raises:
        ValueError: neither None nor a number above 0 and at most 1.

    >>> check_center(1)
    1.0
    """
    if value is None:
        return None
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value <= 1:
        raise ValueError(f"center must be a share above 0 and at most 1, got {brief(value)}")
    return float(value)
