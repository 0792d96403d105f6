import math
from dataclasses import replace

import pytest

from helpers.rate_points import point, points
from softjpeg.evaluation.comparison import compare, headline, signed, table
from softjpeg.evaluation.gain import gains


def test_comparison_takes_the_default_with_no_fewer_bytes():
    found = compare(points())
    assert [c.learned.name for c in found] == ["mine <b>"]
    assert found[0].default.name == "default q 30"
    assert found[0].bytes_saved == pytest.approx(0.25)
    assert found[0].kl == pytest.approx(0.35)


def test_comparison_takes_the_better_of_several_samplings():
    worse = [replace(p, subsampling="4:4:4", bpp=2 * p.bpp) for p in points() if p.bpp < 9]
    found = compare([*points(), *(p for p in worse if p.mode == "default")])
    assert found[0].bytes_saved == pytest.approx(0.25)


def test_comparison_outside_the_measured_range_is_not_a_number():
    beyond = [*points(), point("tiny", "hard", 0.5, 3.0)]
    found = compare(beyond)[-1]
    assert math.isnan(found.bytes_saved)
    assert math.isnan(found.agreement)
    assert compare(points()[:2])[0].default is None


@pytest.mark.parametrize(
    ("kl", "start"),
    [
        (0.2, "At the same fidelity, learned files are 25.0 % smaller than default JPEG."),
        (0.3, "Default JPEG wins: at the same fidelity, learned files are 12.5 % larger"),
        (9.0, "Nothing to compare"),
    ],
)
def test_headline_says_who_wins(kl, start):
    assert headline(compare(points(kl))).startswith(start)


def test_headline_of_a_mixed_outcome_gives_both_ends():
    mixed = compare([*points(0.2), point("worse", "hard", 1.5, 0.3)])
    assert headline(mixed).startswith("No clear winner")
    assert "from 12.5 % larger to 25.0 % smaller" in headline(mixed)


def test_bytes_saved_are_those_of_the_gains():
    default = [(1, 0.4), (1.7, 0.35), (2, 0.2), (4, 0.1), (5, 0.12)]
    measured = [point(f"default q {i}", "default", *pair) for i, pair in enumerate(default)]
    measured = [replace(p, curve="default") for p in measured]
    mine = replace(point("mine", "hard", 1.5, 0.27), curve="mine")
    (found,) = compare([*measured, mine])
    gain = gains([*measured, mine], resamples=0)[0]
    assert (gain.quality, gain.rate) == ("kl", "bpp")
    assert found.bytes_saved == gain.best_saving.value


def test_default_jpeg_at_exactly_the_presets_rate():
    """Between 1 bpp and 4 bpp at 1.5: a sixth of the way."""
    (found,) = compare(points(top1=0.25))
    assert found.agreement == pytest.approx(0.5 + 0.25 / 6)
    assert found.top1 == pytest.approx(0.25)
    assert found.kl == pytest.approx(0.4 - 0.3 / 6)
    measured = [replace(p, top1=0.1 * p.bpp) for p in points() if p.mode != "none"]
    assert compare(measured)[0].top1 == pytest.approx(0.15)
    assert compare(points())[0].top1 is None
    # Those whose mode is no preset's have no row.
    assert compare([*points()[2:], point("webp", "other", 2, 0.2)]) == []


def test_of_the_larger_defaults_the_smallest_is_named():
    more = [point(f"default q {q}", "default", q / 10, 1 / q) for q in (90, 40, 15, 10)]
    (found,) = compare([point("mine", "hard", 1.5, 0.2), *more])
    assert found.default.name == "default q 15"


def test_a_default_that_another_one_beats_is_left_out():
    """In bytes and KL: at equal KL 4:2:0 needs 1.5 bpp where 4:4:4 needs 3."""
    pairs = [(1.0, 0.4), (4.0, 0.1)]
    ours = [point(f"a {x}", "default", x, y) for x, y in pairs]
    theirs = [
        replace(point(f"b {x}", "default", x, y), subsampling="4:4:4")
        for x, y in ((0.9, 0.6), (1.0, 0.5), (2.0, 0.4), (8.0, 0.05))
    ]
    # Of 4:4:4 only the ends are left: (0.9, 0.6) and (8, 0.05).
    for bpp, kl in ((0.95, 0.5), (1.5, 0.35), (6.0, 0.075)):
        (found,) = compare([*ours, *theirs, point("mine", "hard", bpp, 0.2)])
        assert found.kl == pytest.approx(kl)


def test_table_has_two_rows_for_each_preset():
    view = table(compare(points(top1=0.25)), "against default")
    assert view.title == "against default"
    assert [column.header for column in view.columns] == [
        *("", "bytes/file", "bpp", "agree %", "top-1 %", "KL (nats)", "saved %")
    ]
    rows = list(zip(*(column.cells for column in view.columns), strict=True))
    assert rows == [
        ("mine <b>", "1,500", "1.500", "81.2", "25.0", "0.2000", "+25.0"),
        ("default JPEG", "1,500", "1.500", "54.2", "25.0", "0.3500", ""),
    ]
    unlabelled = table(compare(points()))
    assert len(unlabelled.columns) == 6
    assert [next(iter(column.cells)) for column in unlabelled.columns][3:5] == ["81.2", "0.2000"]
    assert signed(math.nan) == "–"
