import math

import bjontegaard
import numpy as np
import pytest
from rich.console import Console
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator

from softjpeg.evaluation.bd_rate import (
    as_quality,
    bd_quality,
    bd_rate,
    best_gain,
    best_saving,
    common_quality,
    front,
)
from softjpeg.evaluation.bootstrap import Estimate
from softjpeg.evaluation.gain import Gain, gains, gains_table, headline
from softjpeg.evaluation.interpolation import interpolate, mean_between
from softjpeg.evaluation.pareto import pareto_front
from softjpeg.evaluation.points import RatePoint


def rng(seed=0):
    return np.random.default_rng(seed)


def noisy_curve(random, count=12):
    """Rates of any order; quality rises with the rate, but not always."""
    rate = np.exp(random.uniform(-1, 2, count))
    return rate, np.log(rate) + random.normal(0, 0.3, count)


# The front


@pytest.mark.parametrize("seed", range(20))
def test_front_is_what_nothing_beats(seed):
    random = rng(seed)
    cost, quality = random.integers(0, 6, (2, 15)) / 2
    quality[random.random(15) < 0.1] = np.nan
    kept = set()
    for x, y in zip(cost, quality, strict=True):
        others = [(a, b) for a, b in zip(cost, quality, strict=True) if (a, b) != (x, y)]
        if not math.isnan(y) and not any(a <= x and b >= y for a, b in others):
            kept.add((x, y))
    found = np.stack(pareto_front(cost, quality), -1)
    assert found.shape == (15, 2)
    assert [tuple(p) for p in found[: len(kept)]] == sorted(kept)
    assert np.isnan(found[len(kept) :]).all()


def test_many_fronts_at_once_are_each_ones_own():
    curves = [noisy_curve(rng(seed)) for seed in range(30)]
    rates, qualities = (np.stack(part) for part in zip(*curves, strict=True))
    together = pareto_front(rates, qualities)
    for i, curve in enumerate(curves):
        np.testing.assert_array_equal([part[i] for part in together], pareto_front(*curve))


def test_infinite_quality_and_no_points():
    assert np.isnan(pareto_front([1.0, 2.0], [np.inf, np.nan])).all()
    assert pareto_front(np.empty((3, 0)), np.empty((3, 0)))[0].shape == (3, 0)


# Interpolation


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_interpolation_is_scipys_pchip(count):
    random = rng(count)
    x = np.sort(random.random((50, count)), -1)
    y = np.cumsum(random.random((50, count)) ** 3, -1)
    at = random.uniform(-0.1, 1.1, (50, 40))
    padded = [np.pad(a, ((0, 0), (0, 2)), constant_values=np.nan) for a in (x, y)]
    found = interpolate(*padded, at)
    for i in range(50):
        expected = PchipInterpolator(x[i], y[i], extrapolate=False)(at[i])
        np.testing.assert_allclose(found[i], expected, rtol=1e-9, atol=1e-12)


def test_one_knot_is_known_there_only():
    x, y = np.array([2.0, np.nan]), np.array([5.0, np.nan])
    np.testing.assert_array_equal(interpolate(x, y, np.array([2.0, 2.1])), [5.0, np.nan])


def test_mean_is_the_integral():
    random = rng()
    x, y = np.sort(random.random(6)), np.cumsum(random.random(6))
    low, high = x[0] + 0.01, x[-1] - 0.02
    curve = PchipInterpolator(x, y)
    expected = quad(curve, low, high, points=x[1:-1], epsabs=1e-12)[0] / (high - low)
    assert mean_between(x, y, np.array(low), np.array(high)) == pytest.approx(expected, rel=1e-10)
    assert math.isnan(mean_between(x, y, np.array(x[0] - 0.1), np.array(high)))
    assert math.isnan(mean_between(x, y, np.array(high), np.array(low)))


# Bjøntegaard's differences


@pytest.mark.parametrize("seed", range(10))
def test_monotone_curves_as_bjontegaard(seed):
    random = rng(seed)
    rates = [np.exp(np.sort(random.uniform(0, 3, n))) for n in (6, 8)]
    qualities = [np.sort(random.random(n)) for n in (6, 8)]
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    anchor, test = zip(rates, qualities, strict=True)
    curves = front(*test), front(*anchor)
    assert bd_rate(*curves) == pytest.approx(
        bjontegaard.bd_rate(*anchor, *test, **options) / 100, rel=1e-9
    )
    assert bd_quality(*curves) == pytest.approx(
        bjontegaard.bd_psnr(*anchor, *test, **options), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_noisy_curves_by_numeric_integration(seed):
    random = rng(seed)
    raw = [noisy_curve(random), noisy_curve(random)]
    fronts = []
    for rate, quality in raw:
        x, y = pareto_front(rate, quality)
        fronts.append((np.log(x[np.isfinite(x)]), y[np.isfinite(y)]))
    low = max(y[0] for _, y in fronts)
    high = min(y[-1] for _, y in fronts)
    grid = np.linspace(low, high, 200_001)
    logs = [PchipInterpolator(y, x)(grid) for x, y in fronts]
    expected = math.expm1(np.trapezoid(logs[0] - logs[1], grid) / (high - low))
    curves = [front(*curve) for curve in raw]
    assert bd_rate(*curves) == pytest.approx(expected, rel=1e-6)
    assert common_quality(*curves) == (low, high)


def test_nothing_in_common_is_not_a_number():
    low, high = front([1, 2], [0.1, 0.2]), front([1, 2], [0.3, 0.4])
    assert math.isnan(bd_rate(low, high))
    assert math.isnan(bd_quality(front([1, 2], [0, 1]), front([3, 4], [0, 1])))
    assert all(math.isnan(part) for part in best_saving(low, high))
    assert all(math.isnan(part) for part in best_gain(low, front([3, 4], [0, 1])))


def test_headline_figures_are_the_largest_over_a_fine_grid():
    # Lines in log rate: between the knots nothing exceeds them.
    curve = front([1.0, 4.0, 16.0], [0.5, 0.7, 0.8])
    reference = front([2.0, 8.0, 32.0], [0.4, 0.65, 0.81])
    grid = np.linspace(math.log(2), math.log(16), 20_001)
    own = PchipInterpolator(np.log([1, 4, 16]), [0.5, 0.7, 0.8])(grid)
    other = PchipInterpolator(np.log([2, 8, 32]), [0.4, 0.65, 0.81])(grid)
    gain, rate = best_gain(curve, reference)
    assert rate in (2.0, 4.0, 8.0, 16.0)
    at = np.abs(grid - math.log(rate)).argmin()
    assert gain == pytest.approx((own - other)[at], abs=1e-4)
    assert gain <= (own - other).max() + 1e-12
    saving, quality = best_saving(curve, reference)
    rates = [
        math.exp(float(PchipInterpolator(q, np.log(r))(quality)))
        for q, r in (([0.5, 0.7, 0.8], [1, 4, 16]), ([0.4, 0.65, 0.81], [2, 8, 32]))
    ]
    assert saving == pytest.approx(1 - rates[0] / rates[1])


def test_a_curve_everywhere_worse_gains_less_than_nothing():
    curve, reference = front([2, 4], [0.4, 0.6]), front([1, 4], [0.5, 0.7])
    assert best_gain(curve, reference)[0] < 0
    assert best_saving(curve, reference)[0] < 0


def test_kl_of_zero_is_left_out():
    curve = front([1, 2, 4], as_quality([0.4, 0.2, 0.0], "kl"))
    assert np.exp(-curve.quality[:2]).tolist() == pytest.approx([0.4, 0.2])
    assert math.isnan(curve.quality[2])


# Gains of measured points


def point(curve, bpp, kl, top1=None, mode="other", reader="", scan=None):
    scan_bpp = 0.8 * bpp if scan is None else scan
    name = f"{curve} {bpp}"
    return RatePoint(
        name, mode, "4:2:0", bpp, bpp, scan_bpp, top1, 0.5, kl, curve=curve, reader=reader
    )


def test_reference_is_the_better_of_all_defaults():
    first = [point("default 4:4:4", r, 0.4 / r, mode="default") for r in (1.0, 2.0, 4.0)]
    # Better where files are small only.
    second = [point("default 4:2:0", 0.8, 0.35, mode="default")]
    mine = [point("mine", r, 0.3 / r) for r in (0.8, 1.0, 2.0)]
    found = {(g.quality, g.rate): g for g in gains([*first, *second, *mine], resamples=0)}
    gain = found["kl", "bpp"]
    rates = [0.8, 2.0, 4.0]  # The first point of 4:4:4 costs more and is worse.
    divergences = [0.35, 0.2, 0.1]
    expected = bjontegaard.bd_rate(
        *(rates, -np.log(divergences), [0.8, 1, 2], -np.log([0.375, 0.3, 0.15])),
        method="pchip",
        require_matching_points=False,
        min_overlap=0,
    )
    assert gain.bd_rate.value == pytest.approx(expected / 100)
    assert (gain.low, gain.high) == pytest.approx((0.15, 0.35))
    assert math.isnan(gain.bd_rate.low)
    points = [*first, *second, *mine]
    only = gains(points, curves=["mine"], reference=["default 4:4:4"], resamples=0)[0]
    assert only.bd_rate.value == pytest.approx(0.75 - 1)


def test_gains_of_kl_are_shares_of_it():
    default = [point("d", r, 0.4 / r, mode="default") for r in (1.0, 2.0, 4.0)]
    mine = [point("m", r, 0.3 / r) for r in (1.0, 2.0, 4.0)]
    gain = gains([*default, *mine], resamples=0)[0]
    assert gain.bd_quality.value == pytest.approx(0.25)
    assert gain.best_gain.value == pytest.approx(0.25)
    assert headline(gain).startswith("m: -25.0 % of KL at ")


def test_measures_that_points_lack_are_left_out():
    default = [point("d", r, 1 / r, 0.2 * r, mode="default") for r in (1.0, 2.0)]
    other = [point("webp", r, 1 / r, 0.3 * r, scan=math.nan) for r in (1.0, 2.0)]
    unlabelled = [point("x", r, 1 / r) for r in (1.0, 2.0)]
    found = {(g.curve, g.quality, g.rate) for g in gains([*default, *other, *unlabelled])}
    assert ("webp", "top1", "bpp") in found
    assert not any(g[0] == "webp" and g[2] == "scan_bpp" for g in found)
    assert not any(g[0] == "x" and g[1] == "top1" for g in found)
    assert gains(other, resamples=0) == []


def test_every_reader_has_gains_of_its_own():
    points = []
    for reader, factor in (("a", 0.5), ("b", 2.0)):
        for r in (1.0, 2.0, 4.0):
            points.append(point("d", r, 1 / r, mode="default", reader=reader))
            points.append(point("m", factor * r, 1 / r, reader=reader))
    found = gains(points, resamples=0)
    rates = {g.reader: g.bd_rate.value for g in found if (g.quality, g.rate) == ("kl", "bpp")}
    assert rates == pytest.approx({"a": -0.5, "b": 1.0})
    assert gains_table(found).row_count == 2


def test_every_curve_but_the_reference_and_the_images_has_its_row():
    """Of what any encoder writes, whatever its mode: shifted copies, so that each gain is known."""
    rates = (1.0, 2.0, 4.0, 8.0)
    factors = {"learned": 0.5, "rdo": 0.4, "drawn": 1.25, "webp": 0.8}
    modes = {"learned": "hard", "rdo": "rdo", "drawn": "probabilistic", "webp": "other"}
    measured = [point("raw", 24.0, 1e-9, 0.99, mode="none")]
    for r in rates:
        measured.append(point("default", r, 0.4 / r, 0.3 + 0.05 * r, mode="default"))
        measured += [
            point(curve, factor * r, 0.4 / r, 0.3 + 0.05 * r, mode=modes[curve])
            for curve, factor in factors.items()
        ]
    found = gains(measured, resamples=0)
    assert list(dict.fromkeys(g.curve for g in found)) == list(factors)
    assert len(found) == len(factors) * 3 * 2
    for g in (g for g in found if g.quality != "agreement"):
        share = factors[g.curve] - 1
        assert g.bd_rate.value == pytest.approx(share)
        assert g.best_saving.value == pytest.approx(-share)
        assert (g.low, g.high) == pytest.approx((0.05, 0.4) if g.quality == "kl" else (0.35, 0.7))
        if g.quality == "kl":
            # KL goes as one over the rate: at equal rate there is a factor of it.
            assert g.bd_quality.value == pytest.approx(1 - factors[g.curve])
            assert g.best_gain.value == pytest.approx(1 - factors[g.curve])
    console = Console(width=160)
    with console.capture() as capture:
        console.print(gains_table(found))
    rows = [line for line in capture.get().splitlines() if "│" in line]
    for curve, factor in factors.items():
        (row,) = [line for line in rows if f" {curve} " in line]
        cells = [cell.strip() for cell in row.split("│")[2:5]]
        assert cells == [f"{100 * (factor - 1):+.1f}"] * 3
    # Asked for by name, a reference may be any of them.
    against = gains(measured, reference=["webp"], resamples=0)
    assert {g.curve for g in against} == {"default", "learned", "rdo", "drawn"}
    assert against[0].bd_rate.value == pytest.approx(1 / 0.8 - 1)


def figure(value, low=math.nan, high=math.nan):
    return Estimate(value, low, high)


NONE = figure(math.nan)


def gain_of(quality, best=NONE, at=math.nan, saving=NONE, saving_at=math.nan, **names):
    names = {"curve": "mine", "reader": "", "rate": "bpp", **names}
    own = {"bd_rate": figure(-0.25, -0.375, -0.125), "bd_quality": figure(0.5)}
    return Gain(
        *(names["curve"], names["reader"], names["rate"], quality),
        *(*own.values(), 0.1, 0.9, best, at, saving, saving_at),
    )


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (gain_of("kl", figure(0.125), 0.5), "mine: -12.5 % of KL at 0.500 bpp"),
        (gain_of("top1", figure(-0.125), 0.5), "mine: -12.5 points of top-1 at 0.500 bpp"),
        (gain_of("agreement", figure(0.25), 2), "mine: +25.0 points of agreement at 2.000 bpp"),
        (gain_of("ssim", figure(0.25), 2), "mine: +25.0 points of ssim at 2.000 bpp"),
        (
            gain_of("kl", saving=figure(0.5), saving_at=0.0123, rate="scan_bpp"),
            "mine: 50.0 % fewer bytes at KL 0.0123",
        ),
        (
            gain_of("top1", saving=figure(-0.5), saving_at=0.625),
            "mine: 50.0 % more bytes at 62.5 % top-1",
        ),
        (gain_of("top1", saving=figure(0.0), saving_at=1), "mine: 0.0 % fewer bytes at 100.0 %"),
        (
            gain_of("kl", figure(0.125), 0.5, rate="scan_bpp"),
            "mine: -12.5 % of KL at 0.500 bpp of scans",
        ),
        (gain_of("kl"), "mine: nothing in common with the reference"),
    ],
)
def test_headlines_in_words(gain, words):
    assert headline(gain).lower().startswith(words.lower())


@pytest.mark.parametrize("second", ["top1", "agreement"])
def test_table_of_gains_by_hand(second):
    word = {"top1": "top-1", "agreement": "agreement"}[second]
    best = {"best": figure(0.0625, 0.03125, 0.125), "at": 1.0}
    best |= {"saving": figure(0.5, 0.25, 0.75), "saving_at": 0.5}
    rows = [
        gain_of("kl", reader="r"),
        gain_of("kl", reader="r", rate="scan_bpp"),
        gain_of(second, reader="r", **best),
        gain_of("kl", curve="other", reader="r"),
        gain_of("ssim", curve="other", reader="r"),
    ]
    view = gains_table(rows, "the title")
    assert view.title == "the title"
    assert [column.header for column in view.columns] == [
        *("encoder", "reader", "BD-rate %, equal KL", "the same, scans only"),
        *(f"BD-rate %, equal {word}", f"most points of {word} at equal bytes"),
        *(f"most bytes saved % at equal {word}", "BD-rate %, equal SSIM"),
    ]
    rate = "-25.0\n-37.5…-12.5"
    assert list(zip(*(column.cells for column in view.columns), strict=True)) == [
        ("mine", "r", rate, rate, rate, "+6.2\n+3.1…+12.5", "+50.0\n+25.0…+75.0", ""),
        ("other", "r", rate, "", "", "", "", rate),
    ]
    plain = gains_table([gain_of("kl")])
    assert [column.header for column in plain.columns][:2] == ["encoder", "BD-rate %, equal KL"]
    assert len(plain.columns) == 6
    assert list(gains_table([gain_of(second)]).columns[4].cells) == ["–"]
