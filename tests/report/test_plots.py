"""Rate and answers of a comparison as matplotlib has them, against numbers by hand."""

from dataclasses import replace

import pytest

from helpers.rate_points import point
from softjpeg.report import plots
from softjpeg.report.svg import ACCENT, MUTED

pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")


@pytest.fixture
def drawn(monkeypatch):
    """A drawing as matplotlib's axes."""
    from matplotlib.figure import Figure

    def draw(points, field):
        found = Figure().add_subplot()
        monkeypatch.setattr(plots, "to_svg", lambda function, **_: function(found))
        plots.curve(points, field)
        return found

    return draw


def measured(top1=0.9):
    return [
        point("uncompressed", "none", 24, 0, 1.0, top1),
        point("q 90", "default", 4, 0.05, 0.75, top1 and 0.625),
        point("q 10", "default", 1, 0.4, 0.5, top1 and 0.375),
        point("mine", "hard", 2, 0.2, 0.875, top1 and 0.75),
        replace(point("mine", "hard", 0.5, 0.0, 0.25, top1 and 0.125), subsampling="4:4:4"),
    ]


def lines(axes):
    return [
        (line.get_color(), *map(list, line.get_data()))
        for line in axes.lines
        if line.get_marker() == "o"
    ]


@pytest.mark.parametrize(
    ("field", "default", "first", "second"),
    [("agreement", [50, 75], 87.5, 25), ("top1", [37.5, 62.5], 75, 12.5)],
)
def test_shares_are_percent_over_the_rate(drawn, field, default, first, second):
    axes = drawn(measured(), field)
    assert lines(axes) == [
        (MUTED, [1, 4], default),
        (ACCENT, [2], [first]),
        (ACCENT, [0.5], [second]),
    ]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert axes.get_xlim() == pytest.approx((0.85 * 0.5, 1.18 * 4))
    assert axes.get_xticks().tolist() == [0.5, 1, 2, 4]
    assert axes.get_xlabel() == "bits per pixel"
    assert axes.xaxis.get_major_formatter()(0.5, 0) == "0.5"


def test_divergence_is_as_it_is(drawn):
    axes = drawn(measured(), "kl")
    # A divergence of 0 has no logarithm.
    assert lines(axes) == [(MUTED, [1, 4], [0.4, 0.05]), (ACCENT, [2], [0.2])]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == pytest.approx((0.8 * 0.05, 1.25 * 0.4))
    assert axes.get_yticks().tolist() == pytest.approx([0.05, 0.1, 0.2])
    assert axes.get_xticks().tolist() == [1, 2, 4]


@pytest.mark.parametrize("field", ["agreement", "kl", "top1"])
@pytest.mark.parametrize("top1", [None, 0.9])
def test_the_images_as_they_were_are_a_level_of_top1_alone(drawn, field, top1):
    levels = [line for line in drawn(measured(top1), field).lines if line.get_marker() != "o"]
    assert [set(line.get_ydata()) for line in levels] == [{90.0}] * (field == "top1" and bool(top1))
