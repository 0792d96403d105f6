"""Curves over the rate as matplotlib has them, against numbers by hand."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from helpers.html_page import Page
from helpers.rate_points import point
from softjpeg.evaluation.bootstrap import FIELDS, resample_means
from softjpeg.evaluation.gain import gains
from softjpeg.report.rate_curves import curves_page, draw_curves, save_plot, styles

pytest.importorskip("jinja2", reason="the report needs softjpeg[report]")
pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")


def measured(reader="", top1=0.9):
    """Two curves, the better one out of order, and the images as they were."""
    some = [
        (point("uncompressed", "none", 24, 0, 1.0, top1), ""),
        (point("b", "hard", 2.0, 0.05, 0.875, top1 and 0.8), "mine"),
        (point("a", "hard", 0.5, 0.4, 0.5, top1 and 0.6), "mine"),
        (point("q 10", "default", 1.0, 0.8, 0.25, top1 and 0.5), "default"),
        (point("q 90", "default", 4.0, 0.0, 1.0, top1 and 0.75), "default"),
    ]
    return [replace(p, curve=curve, reader=reader) for p, curve in some]


def drawn(points, field, means=None, **options):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw_curves(axes, points, means or resample_means(points, 0), field, **options)
    return axes


def lines(axes):
    return {
        line.get_color(): list(zip(*map(np.ndarray.tolist, line.get_data()), strict=True))
        for line in axes.lines
        if line.get_marker() == "o"
    }


def test_every_curve_is_a_line_over_its_rates():
    axes = drawn(measured(), "top1", muted="#123456")
    mine, default = lines(axes).values()
    assert mine == [(0.5, 60), (2, 80)]
    assert default == [(1, 50), (4, 75)]
    assert list(lines(axes)) == ["#0a7bd6", "#123456"]
    (level,) = (line for line in axes.lines if line.get_marker() != "o")
    assert set(level.get_ydata()) == {90}
    assert level.get_color() == "#123456"
    assert axes.get_xscale() == "log"
    assert axes.get_yscale() == "linear"
    assert axes.get_xlim() == pytest.approx((0.85 * 0.5, 1.18 * 4))
    assert axes.get_xticks().tolist() == [0.5, 1, 2, 4]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("bits per pixel, whole files", "top-1, %")
    assert [axes.xaxis.get_major_formatter()(value, 0) for value in (0.5, 4)] == ["0.5", "4"]


def test_divergence_is_logarithmic_and_no_share():
    axes = drawn(measured(), "kl", rate="scan_bpp")
    mine, default = lines(axes).values()
    assert mine == [pytest.approx((0.45, 0.4)), pytest.approx((1.8, 0.05))]
    # A divergence of 0 has no place on a logarithmic scale.
    assert default == [pytest.approx((0.9, 0.8))]
    assert axes.get_yscale() == "log"
    assert axes.get_yticks().tolist() == pytest.approx([0.05, 0.1, 0.2, 0.5])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("bits per pixel, scans", "KL, nats")


@pytest.mark.parametrize("field", ["top1", "agreement", "kl", "ssim"])
@pytest.mark.parametrize("top1", [None, 0.9])
def test_the_images_as_they_were_are_a_level_of_top1_alone(field, top1):
    points = [replace(p, ssim=0.5) for p in measured(top1=top1)]
    levels = [line for line in drawn(points, field).lines if line.get_marker() != "o"]
    assert len(levels) == (field == "top1" and top1 is not None)


def test_a_share_of_zero_is_drawn():
    points = [replace(p, agreement=0.0) for p in measured()]
    assert all(y == 0 for line in lines(drawn(points, "agreement")).values() for _, y in line)


def test_bands_are_percentiles_of_the_resamples():
    points = measured()[1:3]
    # 0, 1, ..., 80 hundredths: the 2.5 and 97.5 percentiles are 2 and 78 of them.
    shares = np.random.default_rng(0).permuted(np.tile(np.arange(81) / 100, (2, 1)), axis=1).T
    means = {name: np.full((82, 2), np.nan) for name in FIELDS}
    means["bpp"][0], means["agreement"][0] = (2.0, 0.5), (0.5, 0.25)
    means["agreement"][1:] = shares
    axes = drawn(points, "agreement", means)
    (band,) = axes.collections
    corners = {tuple(np.round(xy, 9)) for xy in band.get_paths()[0].vertices}
    assert corners == {(x, y) for x in (0.5, 2.0) for y in (2.0, 78.0)}
    means["agreement"][5, 1] = np.nan
    assert not drawn(points, "agreement", means).collections


def test_no_point_has_no_scale():
    axes = drawn([replace(p, mode="none") for p in measured()], "kl")
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    assert not axes.lines


def test_nine_curves_and_two_defaults_all_look_different():
    names = [f"curve {i}" for i in range(9)]
    points = [replace(point(n, "hard", 1, 1), curve=n) for n in names]
    points += [replace(point(n, "default", 1, 1), curve=n) for n in ("4:2:0", "4:4:4")]
    points += [replace(point("u", "none", 24, 0), curve="u"), points[0]]
    found = styles(points, "gray")
    assert list(found) == [*names, "4:2:0", "4:4:4"]
    assert len(set(found.values())) == 11
    assert [found[n][1] for n in names] == ["solid"] * 8 + ["dashed"]
    assert found[names[8]][0] == found[names[0]][0]
    assert found["4:2:0"] == ("gray", "solid")
    assert found["4:4:4"] == ("gray", "dashed")


def two_readers():
    points = [*measured("first"), *measured("second")]
    return [replace(p, ssim=0.5) if p.mode != "none" else p for p in points]


def test_page_has_a_drawing_for_each_reader_rate_and_measure():
    points = two_readers()
    # In the ranges that both have, log rate over -log KL: twice the bytes at each end, so -50 %.
    mine = [replace(p, bpp=p.bpp / 2) for p in points if p.mode == "default"]
    mine = [replace(p, kl=p.kl or 0.1, curve="half", mode="hard") for p in mine]
    points = [replace(p, kl=p.kl or 0.1) for p in points if p.mode != "hard"] + mine
    text = curves_page(
        points, gains(points, resamples=0), title="Ours & theirs", facts={"seed": "7"}, resamples=0
    )
    page = Page(text)
    assert page.open == []
    assert text.count("<svg") == 2 * 2 * 4
    for words in ("Ours & theirs", "seed 7", "as first reads them", "half first −50.0"):
        assert words in page.text
    for label in ("top-1, %", "same answer, %", "KL, nats", "SSIM, %"):
        assert text.count(f'aria-label="{label} over bits per pixel, scans"') == 2
    ids = re.findall(r' id="([^"]+)"', text)
    clips = [i for i in ids if re.fullmatch(r"p[0-9a-f]{10}", i)]
    assert len(set(clips)) == len(clips) > 0


def test_page_without_labels_shows_agreement():
    points = measured(top1=None)
    text = curves_page(points, gains(points, resamples=0), title="t", facts={}, resamples=0)
    assert "BD-rate at equal same answer" in Page(text).text
    assert "top-1" not in text
    assert "SSIM" not in text
    assert "Read by" not in text


@pytest.mark.parametrize("name", ["plot.png", "plot.PNG"])
def test_picture_has_a_row_for_each_reader_and_rate(name, tmp_path):
    save_plot(tmp_path / name, two_readers(), [], {})
    with Image.open(tmp_path / name) as image:
        assert image.format == "PNG"
        # In inches 4.2 for each of four measures, 3.1 for each of four rows and 0.5 for the key.
        assert image.size == (150 * 4.2 * 4, 150 * (3.1 * 4 + 0.5))


def test_svg_names_readers_and_curves_and_is_the_same_every_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        save_plot(tmp_path / name, two_readers(), [], {})
    data = (tmp_path / "a.svg").read_bytes()
    assert data == (tmp_path / "b.svg").read_bytes()
    root = ET.fromstring(data)
    assert root.get("width") == f"{72 * 4.2 * 4:g}pt"
    comments = re.findall(r"<!-- (.+?) -->", data.decode())
    assert comments.count("first") == comments.count("second") == 8
    assert comments.count("mine") == comments.count("default") == 1
    assert b"<dc:date>" not in data


def test_page_or_picture_by_the_ending(tmp_path):
    save_plot(tmp_path / "curves.html", measured(), [], {"seed": "7"})
    text = Page((tmp_path / "curves.html").read_text()).text
    assert "Rate and answers" in text
    assert "seed 7" in text
    with pytest.raises(ValueError, match=r"must end in \.html, \.png, \.svg, got '.*curves\.pdf'"):
        save_plot(tmp_path / "curves.pdf", measured(), [], {})
    assert [path.name for path in tmp_path.iterdir()] == ["curves.html"]
