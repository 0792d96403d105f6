"""Rate and answers of a comparison as matplotlib has them, against numbers by hand."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.rate_points import point
from softjpeg.evaluation.bootstrap import resample_means
from softjpeg.evaluation.points import PerImage
from softjpeg.report import plots, rate_curves
from softjpeg.report.svg import ACCENT, MUTED, to_svg

pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")

from helpers import drawings


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


@pytest.fixture
def saved(monkeypatch):
    """The figures that were saved."""
    return drawings.saved_figures(monkeypatch)


def resampled(name, mode, bpp, kl, curve):
    """A point of three images, of which resamples differ."""
    each = PerImage(
        *(np.array([1.0, 2.0, 3.0]) * 500 * bpp, np.array([1.0, 2.0, 3.0]) * 400 * bpp),
        *(np.array([0.0, 1.0, 1.0]), np.array([0.5, 1.0, 1.5]) * kl, np.zeros(3)),
    )
    return replace(point(name, mode, bpp, kl, 2 / 3), curve=curve, images=each)


def test_rates_and_answers(saved):
    points = [
        resampled("a", "default", 1.0, 0.4, "default"),
        resampled("b", "default", 4.0, 0.1, "default"),
        resampled("mine", "hard", 2.0, 0.2, "learned"),
    ]
    plots.curve(points, "kl")
    plots.curve([point("x", "none", 24, 0, 1.0, 0.75), point("y", "hard", 1, 1, 1, 0.5)], "top1")
    kl, top1 = saved
    assert drawings.lines(kl.axes) == [
        (MUTED, "-", 1.2, "o", 3, 2, [[1, 0.4], [4, 0.1]]),
        (ACCENT, "-", 1.2, "o", 6.5, 3, [[2, 0.2]]),
    ]
    # A band for default JPEG; a preset alone has a bar within its own.
    assert drawings.bands(kl.axes) == [0.15, 0.15, 0.5]
    assert [c.get_linewidth()[0] for c in kl.axes.collections] == [0, 0, 1]
    x, y = drawings.scales(kl.axes)
    assert (x[0], x[1], x[2]) == ("log", [0.85, 4.72], [1, 2, 4])
    assert (y[0], y[1], y[2]) == ("log", [0.08, 0.5], [0.1, 0.2])
    assert (x[3], x[4], y[4]) == ("bits per pixel", 0, 0)
    assert [text.get_text() for text in kl.axes.get_xticklabels()] == ["1", "2", "4"]
    level = top1.axes.lines[-1]
    assert (level.get_color(), level.get_linewidth()) == (MUTED, 1)
    assert level._unscaled_dash_pattern == (0, (4, 3))
    assert drawings.lines(top1.axes)[-1][-1] == [[0, 75], [1, 75]]


def test_curves_of_encoders(saved):
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
    kl, agreement = saved
    assert drawings.lines(kl.axes) == [
        ("#0a7bd6", "-", 1.3, "o", 3, 2, [[1, 0.4], [4, 0.1]]),
        ("#808080", "-", 1.3, "o", 3, 2, [[2, 0.2]]),
    ]
    assert drawings.bands(kl.axes) == [0.15, 0.15]
    x, y = drawings.scales(kl.axes)
    assert (x[:3], x[3], x[4]) == (("log", [0.85, 4.72], [1, 2, 4]), LABELS["bpp"], 0)
    assert (y[0], y[2], y[3], y[4]) == ("log", [0.1, 0.2], LABELS["kl"], 0)
    x, y = drawings.scales(agreement.axes)
    assert (x[3], y[3], y[0]) == (LABELS["scan_bpp"], LABELS["agreement"], "linear")
    assert drawings.lines(agreement.axes)[0][-1] == [[0.9, 66.666667], [3.6, 66.666667]]


LABELS = {
    "agreement": "same answer, %",
    "kl": "KL, nats",
    "bpp": "bits per pixel, whole files",
    "scan_bpp": "bits per pixel, scans",
}
