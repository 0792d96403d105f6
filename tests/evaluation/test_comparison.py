import math
from dataclasses import replace

import pytest

from helpers.rate_points import point, points
from softjpeg.evaluation.comparison import compare, headline
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
