"""The largest coefficient that passes beside how far coefficients spread, by frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.report.svg import ACCENT, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bound_plot(spread: Tensor, bound: Tensor) -> str:
    """Two lines for luma and two for chroma over the zigzag order, on a logarithmic scale.

    Where the bound runs below the spread the layer clips; where it runs above, it only quantizes.

    Args:
        spread: (2, 8, 8) standard deviation of luma's and chroma's coefficients.
        bound: (2, 8, 8) > 0, ±L·q.

    Returns:
        An ``<svg>`` element; its colours are the variables --ink, --muted, --line and --accent.

    Raises:
        ImportError: matplotlib is not installed.

    >>> import torch
    >>> bound_plot(torch.ones(2, 8, 8), torch.full((2, 8, 8), 127.0))[:4]
    '<svg'
    """
    return to_svg(lambda axes: _draw(axes, spread, bound), salt="bound", size=(6.4, 3.2))


def _draw(axes: Axes, spread: Tensor, bound: Tensor) -> None:
    for kind, (name, color) in enumerate((("luma", ACCENT), ("chroma", MUTED))):
        for what, table, line in (("bound ±L·q", bound, "-"), ("spread", spread, ":")):
            values = table[kind].detach().double().cpu().flatten().numpy()[ZIGZAG]
            # Frequencies without spread have no logarithm.
            shown = [v if v > 0 else float("nan") for v in values.tolist()]
            axes.plot(shown, color=color, linestyle=line, linewidth=1.4, label=f"{name}, {what}")
    axes.set_yscale("log")
    axes.set_xlabel("frequency in zigzag order, 0 is DC")
    axes.set_ylabel("coefficient")
    axes.legend(frameon=False, fontsize=8.5, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
