"""Chroma subsampling by name."""

from __future__ import annotations

SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}
"""Sampling factors (H, V) of luma by name; those of chroma are (1, 1) (T.81, A.1.1)."""


def luma_factors(subsampling: str) -> tuple[int, int]:
    """Sampling factors (H, V) of luma: its samples per chroma sample, across and down.

    Raises:
        ValueError: not one of "4:4:4", "4:2:2", "4:2:0".

    >>> luma_factors("4:2:2")
    (2, 1)
    """
    # A list in a hand-edited file is no key of a dict.
    if not isinstance(subsampling, str) or subsampling not in SUBSAMPLINGS:
        known = ", ".join(SUBSAMPLINGS)
        raise ValueError(f"subsampling must be one of {known}, got {subsampling!r}")
    return SUBSAMPLINGS[subsampling]
