"""The opening figures of JPEG-DL: one quality for all images, and all qualities for one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from softjpeg.evaluation.qualities import QualitySweep
from softjpeg.report.svg import ACCENT, MUTED, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGE, _SMALL = (4.2, 3.2), (2.9, 2.4)
_DASHED, _DOTTED = (0, (4, 3)), (0, (1, 2))
_RANKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)


def accuracy_plot(sweep: QualitySweep) -> str:
    """Top-1 in percent over the quality that serves all images, as SVG.

    Dashed: the images as they were. Dotted: every image at the best of its qualities.
    """

    def draw(axes: Axes) -> None:
        _line(axes, sweep.qualities, (100 * sweep.top1()).tolist())
        axes.axhline(100 * sweep.original_top1(), color=MUTED, linewidth=1, linestyle=_DASHED)
        axes.axhline(100 * sweep.best_top1(), color=MUTED, linewidth=1, linestyle=_DOTTED)
        axes.set_ylim(bottom=0)

    return _over_quality(draw, "accuracy", _LARGE)


def rank_plot(sweep: QualitySweep, image: int) -> str:
    """The rank of one image's true label over all qualities, 1 at the top, as SVG.

    Dashed: the image as it was.
    """
    ranks, original = sweep.ranks[image].tolist(), int(sweep.original_ranks[image])

    def draw(axes: Axes) -> None:
        _line(axes, sweep.qualities, ranks)
        axes.axhline(original, color=MUTED, linewidth=1, linestyle=_DASHED)
        lowest = max(10, original, *ranks)
        axes.set_yscale("log")
        axes.set_ylim(1.4 * lowest, 0.8)
        ticks = [r for r in _RANKS if r <= 1.4 * lowest]
        axes.set_yticks(ticks, [str(r) for r in ticks])

    return _over_quality(draw, f"rank {image}", _SMALL)


def probability_plot(sweep: QualitySweep, image: int) -> str:
    """The probability in percent of one image's true label over all qualities, as SVG.

    Dashed: the image as it was.
    """

    def draw(axes: Axes) -> None:
        _line(axes, sweep.qualities, (100 * sweep.probabilities[image]).tolist())
        original = 100 * float(sweep.original_probabilities[image])
        axes.axhline(original, color=MUTED, linewidth=1, linestyle=_DASHED)
        axes.set_ylim(-2, 102)

    return _over_quality(draw, f"probability {image}", _SMALL)


def _over_quality(draw: Callable[[Axes], None], salt: str, size: tuple[float, float]) -> str:
    def with_labels(axes: Axes) -> None:
        draw(axes)
        axes.minorticks_off()
        axes.set_xlabel("JPEG quality")

    return to_svg(with_labels, salt=salt, size=size)


def _line(axes: Axes, qualities: Sequence[int], values: Sequence[float]) -> None:
    # Few qualities are marked: a line alone would hide how few were measured.
    marker = "o" if len(qualities) <= 25 else ""
    axes.plot(qualities, values, marker=marker, markersize=4, color=ACCENT, linewidth=1.4, zorder=3)
