"""Chroma subsampling: its names and its sampling factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from softjpeg.common.brief import brief

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
"""What is written; other files are read at any of the factors 1..4."""

SubsamplingOrGray = Subsampling | Literal["gray"]
"""Or one component, the luma."""

SUBSAMPLINGS: dict[Subsampling, tuple[int, int]] = {
    "4:4:4": (1, 1),
    "4:2:2": (2, 1),
    "4:2:0": (2, 2),
}
"""Sampling factors (H, V) of luma by name; those of chroma are (1, 1) (T.81, A.1.1)."""

_NAMES = {factors: name for name, factors in SUBSAMPLINGS.items()} | {
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}


def parse_subsampling(text: str) -> SubsamplingOrGray:
    """What a text names.

    Raises:
        ValueError: not one of "4:4:4", "4:2:2", "4:2:0", "gray".

    >>> parse_subsampling("gray")
    'gray'
    """
    if text == "gray":
        return "gray"
    if text in SUBSAMPLINGS:
        return text
    known = ", ".join([*SUBSAMPLINGS, "gray"])
    raise ValueError(f"subsampling must be one of {known}, got {brief(text)}")


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
        raise ValueError(f"subsampling must be one of {known}, got {brief(subsampling)}")
    return SUBSAMPLINGS[subsampling]


def subsampling_name(factors: Sequence[tuple[int, int]]) -> str:
    """What the sampling factors of a frame are called.

    Only ratios count: some encoders write 4:2:2 as 2x2 1x2 1x2.

    Args:
        factors: (H, V) of each component.

    Returns:
        "gray" for one component, "4:2:0" and the like for three where chroma's are equal; the
        factors themselves where they have no short name.

    >>> subsampling_name([(2, 2), (1, 2), (1, 2)]), subsampling_name([(2, 1), (1, 1), (2, 1)])
    ('4:2:2', '2x1 1x1 2x1')
    """
    if len(factors) == 1:
        return "gray"
    if len(factors) == 3 and factors[1] == factors[2] and 0 not in factors[1]:
        for (h, v), name in _NAMES.items():
            if tuple(factors[0]) == (h * factors[1][0], v * factors[1][1]):
                return name
    return " ".join(f"{h}x{v}" for h, v in factors)
