"""Drawings as matplotlib has them."""

from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure


def saved_figures(monkeypatch):
    """The figures that are saved from now on, and how."""
    figures, save = [], Figure.savefig

    def saved(figure, file, **options):
        figures.append(SimpleNamespace(figure=figure, axes=figure.axes[0], options=options))
        save(figure, file, **options)

    monkeypatch.setattr(Figure, "savefig", saved)
    return figures


def lines(axes):
    """Of each line: colour, style, width, mark, its size, order; and its points."""
    return [
        (
            *(line.get_color(), line.get_linestyle(), line.get_linewidth()),
            *(line.get_marker(), line.get_markersize(), line.get_zorder()),
            np.asarray(line.get_xydata()).round(6).tolist(),
        )
        for line in axes.lines
    ]


def bands(axes):
    """How dense each filled band and bar is."""
    return [collection.get_alpha() for collection in axes.collections]


def scales(axes):
    """Scales, limits, ticks and words of both axes."""
    axes.figure.canvas.draw()
    return [
        (
            axis.get_scale(),
            [round(float(end), 6) for end in axis.get_view_interval()],
            [round(float(tick), 6) for tick in axis.get_ticklocs()],
            axis.get_label_text(),
            len(axis.get_minorticklocs()),
        )
        for axis in (axes.xaxis, axes.yaxis)
    ]


def legend(axes):
    found = axes.get_legend()
    texts = found.get_texts()
    return [text.get_text() for text in texts], found.get_frame_on(), texts[0].get_fontsize()
