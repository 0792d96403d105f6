"""An 8×8 table as a heat map: a number and a colour for every frequency."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

_LIGHT, _DARK = (243, 247, 251), (6, 44, 92)
_WARM = (150, 52, 8)


@dataclass(frozen=True)
class HeatMap:
    """What a page shows of a table.

    Attributes:
        caption: the words above it.
        rows: of cells; a cell is its text, its background and its text's colour.
    """

    caption: str
    rows: list[list[tuple[str, str, str]]]


def heat_map(
    caption: str, values: Tensor, shares: Tensor, write: Callable[[float], str]
) -> HeatMap:
    """A table in colours from nearly white to dark blue, or dark red where a share is negative.

    Args:
        caption: the words above it.
        values: (rows, columns); NaN is shown as a dash.
        shares: of the same shape: 0 is nearly white, 1 and more dark blue, -1 and less dark red.
        write: a value as text of up to four characters.

    >>> import torch
    >>> steps = torch.tensor([[6.0, 255.0]])
    >>> heat_map("steps", steps, log_share(steps, 6, 255), short).rows
    [[('6.00', '#f3f7fb', '#000000'), ('255', '#062c5c', '#ffffff')]]
    """

    def cell(value: float, share: float) -> tuple[str, str, str]:
        known = not math.isnan(value)
        return write(value) if known else "–", *_shade(share if known else 0.0)

    pairs = zip(values.tolist(), shares.tolist(), strict=True)
    return HeatMap(caption, [[cell(*both) for both in zip(*pair, strict=True)] for pair in pairs])


def log_share(values: Tensor, low: float, high: float) -> Tensor:
    """Where values lie between two others on a logarithmic scale: 0 at `low`, 1 at `high`.

    Args:
        values: any shape, ≥ 0; what is below `low` counts as `low`.
        low, high: > 0.

    >>> import torch
    >>> log_share(torch.tensor([1.0, 10.0, 100.0]), 1, 100).tolist()
    [0.0, 0.5, 1.0]
    """
    span = math.log(high / low) or 1.0
    return (values / low).clamp_min(1.0).log() / span


def short(value: float) -> str:
    """A positive number in at most four characters.

    >>> [short(v) for v in (0.0, 0.00001, 0.0371, 0.999, 9.96, 34.7, 1357.0, 32385.0, 123456.0)]
    ['0', '1e-5', '.037', '1.00', '9.96', '34.7', '1.4k', '32k', '123k']
    """
    if value == 0:
        return "0"
    if value >= 999.5:
        return f"{value / 1000:.1f}k" if value < 9950 else f"{value / 1000:.0f}k"
    if value < 0.001:
        mantissa, exponent = f"{value:.0e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    for digits, limit in ((0, 99.95), (1, 9.995), (2, 0.995)):
        if value >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.{3 if value < 0.0995 else 2}f}".lstrip("0")


def percent(value: float) -> str:
    """A share as percent without the sign.

    >>> [percent(v) for v in (0.0, 0.0004, 0.031, 0.996, 1.014)]
    ['0', '<.1', '3.1', '99.6', '101']
    """
    if 1e-6 < value < 0.0005:
        return "<.1"
    return f"{100 * value:.{int(value < 0.9995)}f}".removesuffix(".0")


def _shade(share: float) -> tuple[str, str]:
    amount, end = min(abs(share), 1.0), _WARM if share < 0 else _DARK
    mixed = [round(a + (b - a) * amount) for a, b in zip(_LIGHT, end, strict=True)]
    # WCAG's contrast of 4.5 with white; what has less has 4.6 and more with black.
    dark = 1.05 / (_luminance(mixed) + 0.05) >= 4.5
    return "#" + bytes(mixed).hex(), "#ffffff" if dark else "#000000"


def _luminance(color: Sequence[int]) -> float:
    """WCAG's relative luminance of sRGB, 0..1."""
    shares = [c / 255 for c in color]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
