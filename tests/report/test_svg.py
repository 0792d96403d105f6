"""Drawings as matplotlib is told to draw them: every line, mark, scale and word."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.rate_points import point
from softjpeg.evaluation.bootstrap import resample_means
from softjpeg.evaluation.points import PerImage
from softjpeg.evaluation.qualities import QualitySweep
from softjpeg.evaluation.robustness.points import RobustnessPoint

pytest.importorskip("matplotlib", reason="drawings need softjpeg[report]")

from matplotlib.figure import Figure

from softjpeg.report import adapt_page, plots, quality_plots, rate_curves, svg
from softjpeg.report.bound_plot import bound_plot
from softjpeg.report.robustness_plot import robustness_curve
from softjpeg.report.svg import ACCENT, INK, LINE, MUTED, to_svg


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, and how."""
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


def test_a_frame(drawn):
    text = to_svg(lambda axes: axes.plot([0, 1], [2, 3], color=ACCENT), salt="a")
    (saved,) = drawn
    assert saved.figure.get_size_inches().tolist() == [4.2, 3.2]
    assert saved.options == {"format": "svg", "transparent": True, "metadata": {"Date": None}}
    assert [saved.axes.spines[s].get_visible() for s in ("top", "right", "left", "bottom")] == [
        *(False, False, True, True)
    ]
    assert saved.axes.get_axisbelow() is True
    grid = saved.axes.get_xgridlines()[0]
    assert (grid.get_color(), grid.get_linewidth(), grid.get_visible()) == (LINE, 0.6, True)
    assert saved.axes.spines["left"].get_edgecolor()[:3] == pytest.approx((0, 0, 3 / 255))
    assert saved.axes.xaxis.label.get_color() == MUTED
    assert saved.axes.xaxis.get_ticklabels()[0].get_fontsize() == 9.5
    assert saved.axes.xaxis.get_ticklabels()[0].get_color() == MUTED
    assert text.startswith("<svg ")
    assert "var(--accent)" in text
    assert "<metadata" not in text
    head = text[: text.index(">")]
    assert " width=" not in head
    assert " height=" not in head
    assert " viewBox=" in head
    for color in (INK, MUTED, LINE, ACCENT):
        assert color not in text
    # The words stay text.
    assert "<text" in text
    assert text == to_svg(lambda axes: axes.plot([0, 1], [2, 3], color=ACCENT), salt="a")
    assert svg._STYLE["text.color"] == INK
    assert svg._STYLE["xtick.minor.size"] == svg._STYLE["ytick.minor.size"] == 0


def test_bounds(drawn):
    spread = torch.arange(128.0).reshape(2, 8, 8)
    bound_plot(spread, 1000 + spread)
    (saved,) = drawn
    assert saved.figure.get_size_inches().tolist() == [6.4, 3.2]
    zigzag = [0, 1, 8, 16, 9, 2]
    found = lines(saved.axes)
    assert [each[:3] for each in found] == [
        (ACCENT, "-", 1.4), (ACCENT, ":", 1.4), (MUTED, "-", 1.4), (MUTED, ":", 1.4),
    ]  # fmt: skip
    values = [[y for _, y in each[-1]] for each in found]
    assert values[0][:6] == [1000 + i for i in zigzag]
    assert values[1][1:6] == zigzag[1:]
    assert math.isnan(values[1][0])
    assert values[2][:6] == [1064 + i for i in zigzag]
    assert values[3][:6] == [64 + i for i in zigzag]
    x, y = scales(saved.axes)
    assert (x[0], y[0]) == ("linear", "log")
    assert (x[3], y[3]) == ("frequency in zigzag order, 0 is DC", "coefficient")
    names = ["luma, bound ±L·q", "luma, spread", "chroma, bound ±L·q", "chroma, spread"]
    assert legend(saved.axes) == (names, False, 8.5)
    assert saved.axes.get_legend()._ncols == 4


def test_adapters(drawn, monkeypatch):
    figures = [
        {"bpp": bpp, "frozen": bpp / 2, "adapted": bpp / 4, "step": 3 - bpp, "strength": bpp / 3}
        for bpp in (0.5, 1.0, 2.0)
    ]
    values = {}
    monkeypatch.setattr(
        adapt_page, "render_template", lambda name, **v: values.update(v, name=name)
    )
    facts = {"gain": 0.1, "figures": figures, "clean_drop": 0.5, "judged_on": 9, "loss": "kl"}
    base = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    adapter = SimpleNamespace(provenance={**facts, "seed": 3}, base=base, fixed_strength=0.7)
    adapt_page.adapt_page(adapter, title="the title")
    losses, strengths = drawn
    assert lines(losses.axes) == [
        (MUTED, "-", 1.5, "s", 4.5, 3, [[0.5, 0.25], [1.0, 0.5], [2.0, 1.0]]),
        (ACCENT, "-", 1.5, "o", 4.5, 3, [[0.5, 0.125], [1.0, 0.25], [2.0, 0.5]]),
    ]
    assert legend(losses.axes)[:2] == (["frozen", "adapted"], False)
    assert scales(losses.axes)[0][3] == "bits per pixel"
    assert lines(strengths.axes) == [
        (ACCENT, "-", 1.5, "o", 6, 3, [[2.5, 0.166667], [2.0, 0.333333], [1.0, 0.666667]])
    ]
    x, y = scales(strengths.axes)
    assert (x[3], y[1]) == ("mean logarithm of the file's luma steps", [-0.05, 1.05])
    for name in ("losses", "strengths"):
        assert values.pop(name).startswith("<svg ")
    assert values == {
        **facts,
        **{"name": "adapt_page.html", "title": "the title", "fixed_strength": 0.7, "weights": 10},
        "facts": {"seed": "3"},
    }
    for name in facts:
        lacking = {key: value for key, value in facts.items() if key != name}
        adapter = SimpleNamespace(provenance=lacking, base={}, fixed_strength=1.0)
        with pytest.raises(ValueError, match=f"the adapter must hold '{name}' in its provenance"):
            adapt_page.adapt_page(adapter, title="")


SWEEP = QualitySweep(
    qualities=(10, 50, 100),
    subsampling="4:2:0",
    ranks=torch.tensor([[5, 1, 3], [4, 40, 1]]),
    probabilities=torch.tensor([[0.1, 0.5, 0.25], [0.2, 0.01, 0.6]]),
    sizes=torch.tensor([[100, 200, 400]] * 2),
    original_ranks=torch.tensor([2, 1]),
    original_probabilities=torch.tensor([0.375, 0.75]),
)
DASHED = "--"


def test_qualities(drawn):
    quality_plots.accuracy_plot(SWEEP)
    quality_plots.rank_plot(SWEEP, 0)
    quality_plots.rank_plot(SWEEP, 1)
    quality_plots.probability_plot(SWEEP, 0)
    accuracy, rank, deep, probability = drawn
    sizes = [each.figure.get_size_inches().tolist() for each in drawn]
    assert sizes == [[4.2, 3.2], *[[2.9, 2.4]] * 3]
    assert lines(accuracy.axes) == [
        (ACCENT, "-", 1.4, "o", 4, 3, [[10, 0], [50, 50], [100, 50]]),
        (MUTED, DASHED, 1, "None", 6, 2, [[0, 50], [1, 50]]),
        (MUTED, DASHED, 1, "None", 6, 2, [[0, 100], [1, 100]]),
    ]
    # Dashed is the images as they were, dotted the best quality of each.
    dashes = [line._unscaled_dash_pattern for line in accuracy.axes.lines[1:]]
    assert dashes == [(0, (4, 3)), (0, (1, 2))]
    assert scales(accuracy.axes)[1][1][0] == 0
    assert lines(rank.axes)[0] == (ACCENT, "-", 1.4, "o", 4, 3, [[10, 5], [50, 1], [100, 3]])
    assert lines(rank.axes)[1][-1] == [[0, 2], [1, 2]]
    x, y = scales(rank.axes)
    # The rank 1 is at the top.
    assert y[:3] == ("log", [14, 0.8], [1, 2, 5, 10])
    assert (x[3], x[4], y[4]) == ("JPEG quality", 0, 0)
    assert scales(deep.axes)[1][1:3] == ([56, 0.8], [1, 2, 5, 10, 20, 50])
    assert lines(probability.axes)[0][-1] == [[10, 10], [50, 50], [100, 25]]
    assert lines(probability.axes)[1][-1] == [[0, 37.5], [1, 37.5]]
    assert scales(probability.axes)[1][1] == [-2, 102]


@pytest.mark.parametrize(("count", "marker"), [(25, "o"), (26, "")])
def test_many_qualities_have_no_marks(drawn, count, marker):
    ranks = torch.ones(1, count, dtype=torch.int64)
    one = torch.ones(1)
    sweep = QualitySweep(tuple(range(count)), "4:2:0", ranks, ranks / 2, ranks, one, one)
    quality_plots.accuracy_plot(sweep)
    assert lines(drawn[0].axes)[0][3] == (marker or "")


def resampled(name, mode, bpp, kl, curve):
    """A point of three images, of which resamples differ."""
    each = PerImage(
        *(np.array([1.0, 2.0, 3.0]) * 500 * bpp, np.array([1.0, 2.0, 3.0]) * 400 * bpp),
        *(np.array([0.0, 1.0, 1.0]), np.array([0.5, 1.0, 1.5]) * kl, np.zeros(3)),
    )
    return replace(point(name, mode, bpp, kl, 2 / 3), curve=curve, images=each)


def test_rates_and_answers(drawn):
    points = [
        resampled("a", "default", 1.0, 0.4, "default"),
        resampled("b", "default", 4.0, 0.1, "default"),
        resampled("mine", "hard", 2.0, 0.2, "learned"),
    ]
    plots.curve(points, "kl")
    plots.curve([point("x", "none", 24, 0, 1.0, 0.75), point("y", "hard", 1, 1, 1, 0.5)], "top1")
    kl, top1 = drawn
    assert lines(kl.axes) == [
        (MUTED, "-", 1.2, "o", 3, 2, [[1, 0.4], [4, 0.1]]),
        (ACCENT, "-", 1.2, "o", 6.5, 3, [[2, 0.2]]),
    ]
    # A band for default JPEG; a preset alone has a bar within its own.
    assert bands(kl.axes) == [0.15, 0.15, 0.5]
    assert [c.get_linewidth()[0] for c in kl.axes.collections] == [0, 0, 1]
    x, y = scales(kl.axes)
    assert (x[0], x[1], x[2]) == ("log", [0.85, 4.72], [1, 2, 4])
    assert (y[0], y[1], y[2]) == ("log", [0.08, 0.5], [0.1, 0.2])
    assert (x[3], x[4], y[4]) == ("bits per pixel", 0, 0)
    assert [text.get_text() for text in kl.axes.get_xticklabels()] == ["1", "2", "4"]
    level = top1.axes.lines[-1]
    assert (level.get_color(), level.get_linewidth()) == (MUTED, 1)
    assert level._unscaled_dash_pattern == (0, (4, 3))
    assert lines(top1.axes)[-1][-1] == [[0, 75], [1, 75]]


def test_curves_of_encoders(drawn):
    points = [
        resampled("b", "other", 4.0, 0.1, "webp"),
        resampled("a", "other", 1.0, 0.4, "webp"),
        resampled("c", "default", 2.0, 0.2, "default"),
    ]
    means = resample_means(points, 50)
    for field, rate in (("kl", "bpp"), ("agreement", "scan_bpp")):
        to_svg(
            lambda axes, f=field, r=rate: rate_curves.draw_curves(axes, points, means, f, r),
            salt="",
        )
    kl, agreement = drawn
    assert lines(kl.axes) == [
        ("#0a7bd6", "-", 1.3, "o", 3, 2, [[1, 0.4], [4, 0.1]]),
        ("#808080", "-", 1.3, "o", 3, 2, [[2, 0.2]]),
    ]
    assert bands(kl.axes) == [0.15, 0.15]
    x, y = scales(kl.axes)
    assert (x[:3], x[3], x[4]) == (("log", [0.85, 4.72], [1, 2, 4]), LABELS["bpp"], 0)
    assert (y[0], y[2], y[3], y[4]) == ("log", [0.1, 0.2], LABELS["kl"], 0)
    x, y = scales(agreement.axes)
    assert (x[3], y[3], y[0]) == (LABELS["scan_bpp"], LABELS["agreement"], "linear")
    assert lines(agreement.axes)[0][-1] == [[0.9, 66.666667], [3.6, 66.666667]]


LABELS = {
    "agreement": "same answer, %",
    "kl": "KL, nats",
    "bpp": "bits per pixel, whole files",
    "scan_bpp": "bits per pixel, scans",
}


def test_attacks(drawn):
    points = [
        RobustnessPoint(name, run, attack, eps, 0.9 - drop * eps, 50)
        for name, run, drop in (("base", 0, 0.2), ("x" * 31, 0, 0.1), ("x" * 31, 1, 0.15))
        for attack, eps in (("none", 0.0), ("pgd", 2.0), ("pgd", 1.0), ("fgsm", 1.0))
    ]
    robustness_curve(points, "pgd")
    axes = drawn[0].axes
    mains = [bar.lines[0] for bar in axes.containers]
    assert [(m.get_color(), m.get_linestyle(), m.get_marker()) for m in mains] == [
        (MUTED, "-", "o"),
        (ACCENT, "-", "o"),
    ]
    assert {(m.get_markersize(), m.get_linewidth()) for m in mains} == {(4.5, 1.2)}
    assert [m.get_xydata().round(6).tolist() for m in mains] == [
        [[0, 90], [1, 70], [2, 50]],
        [[0, 90], [1, 77.5], [2, 65]],
    ]
    assert [bar.has_yerr for bar in axes.containers] == [False, True]
    caps = axes.containers[1].lines[1]
    assert {cap.get_markersize() for cap in caps} == {6}
    assert {m.get_zorder() for m in mains} == {2.1}  # A bar adds its tenth.
    spread = 100 * 0.05 / 2**0.5
    segments = axes.containers[1].lines[2][0].get_segments()
    assert segments[1][:, 1].tolist() == pytest.approx([77.5 - spread, 77.5 + spread])
    x, y = scales(axes)
    assert (x[2], x[3]) == ([0, 1, 2], "eps in levels of 255")
    assert (y[1][0], y[3]) == (0, "top-1 in percent")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "1", "2"]
    assert legend(axes) == (["base", f"{'x' * 12}…{'x' * 16}"], False, 8.5)
    drawn.clear()
    robustness_curve(
        [p if p.network == "base" else replace(p, network="y" * 30) for p in points], "fgsm"
    )
    assert legend(drawn[0].axes)[0][1] == "y" * 30
