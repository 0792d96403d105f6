"""Drawings as matplotlib is told to draw them: every line, mark, scale and word."""

import math
from types import SimpleNamespace

import pytest
import torch

from softjpeg.evaluation.qualities import QualitySweep

pytest.importorskip("matplotlib", reason="drawings need softjpeg[report]")

from helpers.drawings import legend, lines, saved_figures, scales
from softjpeg.report import adapt_page, quality_plots, svg
from softjpeg.report.bound_plot import bound_plot
from softjpeg.report.svg import ACCENT, INK, LINE, MUTED, to_svg


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, and how."""
    return saved_figures(monkeypatch)


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
