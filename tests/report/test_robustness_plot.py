"""Accuracy under attack as drawings and a page, against numbers by hand."""

import math
from dataclasses import replace

import pytest

from helpers.html_page import Page
from softjpeg.evaluation.robustness.points import Check, RobustnessPoint
from softjpeg.report import robustness_plot
from softjpeg.report.robustness_plot import robustness_curve, robustness_page
from softjpeg.report.svg import ACCENT, MUTED

pytest.importorskip("jinja2", reason="the report needs softjpeg[report]")
pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")

from helpers.drawings import legend, saved_figures, scales

# Two runs of "plain", one of "layered", stronger attacks first.
POINTS = [
    RobustnessPoint(network, run, attack, eps, top1, 100)
    for network, run, attack, eps, top1 in [
        ("plain", 0, "none", 0.0, 0.75),
        ("plain", 1, "none", 0.0, 0.75),
        ("plain", 0, "pgd", 4.0, 0.125),
        ("plain", 1, "pgd", 4.0, 0.375),
        ("plain", 0, "pgd", 0.5, 0.5),
        ("plain", 1, "pgd", 0.5, 0.5),
        ("layered", 0, "none", 0.0, 0.875),
        ("layered", 0, "pgd", 4.0, 0.0625),
        ("layered", 0, "fgsm", 2.0, 0.25),
    ]
]


@pytest.fixture
def axes(monkeypatch):
    """What a drawing leaves on matplotlib's axes."""
    from matplotlib.figure import Figure

    def draw(function, **_):
        function(found)
        return "<svg>"

    found = Figure().add_subplot()
    monkeypatch.setattr(robustness_plot, "to_svg", draw)
    return found


def test_a_line_for_each_network_with_bars_over_runs(axes):
    robustness_curve(POINTS, "pgd")
    plain, layered = axes.containers
    for container, name, xs, ys in (
        (plain, "plain", [0, 0.5, 4], [75, 50, 25]),
        (layered, "layered", [0, 4], [87.5, 6.25]),
    ):
        line = container.lines[0]
        assert container.get_label() == name
        assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (xs, ys)
    # Of 0.125 and 0.375 the standard deviation with n - 1 is 0.25/√2.
    (bars,) = plain.lines[2]
    heights = [float(top[1] - bottom[1]) for bottom, top in bars.get_segments()]
    assert heights == pytest.approx([0, 0, 2 * 25 / math.sqrt(2)])
    assert not layered.lines[2]
    assert axes.get_xticks().tolist() == [0, 0.5, 4]
    assert [axes.xaxis.get_major_formatter()(eps, 0) for eps in (0.5, 4.0)] == ["0.5", "4"]
    assert axes.get_ylim()[0] == 0
    assert axes.get_xlabel() == "eps in levels of 255"
    assert axes.get_ylabel() == "top-1 in percent"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["plain", "layered"]


def test_ten_networks_look_different_but_the_last(axes):
    names = [f"network {i}" for i in range(10)]
    robustness_curve([RobustnessPoint(n, 0, "pgd", 1.0, 0.5, 1) for n in names], "pgd")
    looks = [
        (line.get_color(), line.get_linestyle(), line.get_marker())
        for line in (container.lines[0] for container in axes.containers)
    ]
    assert len(set(looks)) == 9
    assert looks[9] == looks[0]


def test_an_attack_that_was_not_measured():
    with pytest.raises(ValueError, match="attack must be one that was measured, got 'apgd'"):
        robustness_curve(POINTS, "apgd")
    with pytest.raises(ValueError, match="must be one that was measured"):
        robustness_curve([p for p in POINTS if p.attack == "none"], "pgd")


def test_page_shows_every_attack_mean_and_check():
    checks = {
        "plain": [Check("one step", 0.1, 0.2, True, "It is weaker.")],
        "layered": [Check("noise", 0.3, 0.2, False, "It is <stronger>.")],
    }
    text = robustness_page(POINTS, checks, title="Attacks & defences", facts={"seed": "7"})
    page = Page(text)
    assert page.open == []
    assert "<title>Attacks &amp; defences</title>" in text
    assert text.count("<svg") == 2
    for words in (
        "plain pgd 4 25.0 17.7",
        "layered fgsm 2 25.0",
        "plain none 0 75.0 0.0",
        "one step yes It is weaker.",
        "noise no It is <stronger>.",
        "“layered”",
        "seed 7",
    ):
        assert words in page.text
    for attack in ("pgd", "fgsm"):
        assert f'aria-label="Top-1 in percent over eps under {attack}"' in text


def test_every_mark(monkeypatch):
    saved = saved_figures(monkeypatch)
    points = [
        RobustnessPoint(name, run, attack, eps, 0.9 - drop * eps, 50)
        for name, run, drop in (("base", 0, 0.2), ("x" * 31, 0, 0.1), ("x" * 31, 1, 0.15))
        for attack, eps in (("none", 0.0), ("pgd", 2.0), ("pgd", 1.0), ("fgsm", 1.0))
    ]
    robustness_curve(points, "pgd")
    axes = saved[0].axes
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
    saved.clear()
    robustness_curve(
        [p if p.network == "base" else replace(p, network="y" * 30) for p in points], "fgsm"
    )
    assert legend(saved[0].axes)[0][1] == "y" * 30
