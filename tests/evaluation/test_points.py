"""Points of rate: read between their neighbours, and as tables whose numbers are put in by hand."""

import math
from dataclasses import replace

import pytest

from helpers.rate_points import point
from softjpeg.evaluation.points import at_equal_bpp, table


def cells(view):
    """Heads, and rows from top to bottom."""
    columns = [list(column.cells) for column in view.columns]
    return [column.header for column in view.columns], list(zip(*columns, strict=True))


def curve(top1=None):
    return [
        replace(point("b", "default", 4.0, 0.125, 0.75), top1=top1 and 0.5),
        replace(point("a", "default", 1.0, 0.5, 0.25), top1=top1),
        replace(point("c", "default", 8.0, 0.0625, 1.0), top1=top1 and 0.75),
    ]


def test_between_two_neighbours_it_is_linear_whatever_the_order():
    assert at_equal_bpp(curve(), 2.0, "kl") == pytest.approx(0.5 - 0.375 / 3)
    assert at_equal_bpp(curve(), 7.0, "agreement") == pytest.approx(0.9375)
    assert at_equal_bpp(curve(0.25), 3.0, "top1") == pytest.approx(0.25 + 0.25 * 2 / 3)
    assert at_equal_bpp(curve(), 2.5, "scan_bpp") == pytest.approx(2.25)
    for bpp, agreement in ((1.0, 0.25), (4.0, 0.75), (8.0, 1.0)):
        assert at_equal_bpp(curve(), bpp, "agreement") == agreement


def test_outside_and_of_what_was_not_measured_it_is_not_a_number():
    for bpp in (0.99, 8.01):
        assert math.isnan(at_equal_bpp(curve(), bpp, "kl"))
    assert math.isnan(at_equal_bpp(curve(), 2.0, "top1"))
    assert math.isnan(at_equal_bpp(curve()[:1], 4.0, "kl"))
    assert math.isnan(at_equal_bpp([], 4.0, "kl"))


def test_of_two_points_at_one_rate_the_lower_one_counts():
    twins = [point("a", "default", 2.0, 0.5), point("b", "default", 2.0, 0.25)]
    assert at_equal_bpp(twins, 2.0, "kl") == 0.25


def test_table_of_one_network_without_labels():
    view = table([point("mine", "hard", 1.5, 0.25, 0.8125)], title="points")
    assert view.title == "points"
    heads, rows = cells(view)
    assert heads == [
        *("encoder", "sampling", "bytes/file", "bpp", "scan bpp", "agree %", "KL (nats)")
    ]
    assert rows == [("mine", "4:2:0", "1,500", "1.500", "1.350", "81.2", "0.2500")]
    assert [column.justify for column in view.columns] == ["left"] * 2 + ["right"] * 5


def test_table_of_all_there_can_be():
    drawn = point("mine", "probabilistic", 0.25, 0.125, 0.5, top1=0.375)
    other = replace(point("webp", "other", 2.0, 0.5, 0.25), scan_bpp=math.nan, subsampling="")
    heads, rows = cells(
        table([replace(drawn, reader="first", ssim=0.875), replace(other, reader="second")])
    )
    first, second = ("37.5", "50.0", "0.1250", "0.8750"), ("", "25.0", "0.5000", "")
    assert heads[0] == "reader"
    assert heads[-4:] == ["top-1 %", "agree %", "KL (nats)", "SSIM"]
    assert rows == [
        (*("first", "mine (sampled)", "4:2:0", "250", "0.250", "0.225"), *first),
        (*("second", "webp", "", "2,000", "2.000", ""), *second),
    ]
