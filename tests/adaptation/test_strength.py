import io
from itertools import product

import numpy as np
import pytest
from PIL import Image

from softjpeg.adaptation.strength import StrengthCurve, luma_step, rising_choice, step_of


def written(mode="RGB", kind="jpeg", **options):
    file = io.BytesIO()
    Image.new(mode, (20, 12), 99 if mode == "L" else (200, 30, 60)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_luma_table_of_a_file(mode, progressive, tmp_path):
    luma = np.arange(1, 65)
    tables = [luma.tolist()] if mode == "L" else [luma.tolist(), [255] * 64]
    data = written(mode, qtables=tables, progressive=progressive)
    assert step_of(data) == pytest.approx(sum(np.log2(luma)) / 64)
    (tmp_path / "x.jpg").write_bytes(data)
    assert step_of(tmp_path / "x.jpg") == step_of(data)


def test_tables_and_other_formats():
    coarse, fine = np.full((8, 8), 32), np.full((8, 8), 2)
    assert step_of([coarse, fine]) == 5
    assert step_of({"Y": fine, "Cb Cr": coarse}) == 1
    assert step_of(written(kind="png")) == 0
    assert step_of(written(quality=100)) == 0
    with pytest.raises(ValueError, match="cut off"):
        step_of(written()[:40])
    assert luma_step(np.ones((8, 8))) == 0


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ((), "at least one point"),
        (((0.0, 0.5),), "step above 0"),
        (((1.0, 1.5),), r"strength from 0 to 1, got \(1.0, 1.5\)"),
        (((1.0, float("nan")),), "strength from 0 to 1"),
        (((2.0, 0.5), (2.0, 0.6)), "must rise"),
        (((1.0, 0.5), (2.0, 0.4)), r"must rise with the step, got \(1.0, 0.5\) before"),
    ],
)
def test_curves_that_are_none(points, words):
    with pytest.raises(ValueError, match=words):
        StrengthCurve(points)


def test_a_curve_never_falls_and_starts_at_nothing():
    curve = StrengthCurve(((1.5, 0.25), (3.0, 0.25), (6.0, 0.75)))
    strengths = [curve.at(step) for step in np.linspace(0, 8, 200)]
    assert strengths[0] == 0
    assert strengths[-1] == 0.75
    assert (np.diff(strengths) >= 0).all()


def test_the_best_rising_choice_is_that_of_trying_all():
    random = np.random.default_rng(0)
    for _ in range(30):
        losses = random.random((4, 3))
        rising = [c for c in product(range(3), repeat=4) if list(c) == sorted(c)]
        best = min(rising, key=lambda c: sum(losses[i, k] for i, k in enumerate(c)))
        assert rising_choice(losses.tolist()) == list(best)
