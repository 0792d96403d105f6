"""Values in sentences."""

from __future__ import annotations

from typing import Any


def brief(value: Any) -> str:
    """A value as errors show it: what is long is cut.

    >>> brief("a" * 99)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    """
    try:
        words = repr(value)
    except (ValueError, RecursionError):
        # Python does not write numbers of more than 4,300 digits.
        words = f"a {type(value).__name__} too long to show"
    return words if len(words) <= 80 else f"{words[:60]}..."
