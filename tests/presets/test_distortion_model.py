"""The distortion model against matrices written out and inverted, block weights by hand."""

import json
from functools import partial

import numpy as np
import pytest

from softjpeg.presets.distortion_model import PAIRS, DistortionModel

ONE = np.ones((3, 8, 8))


def model(**changes):
    plain = {
        "sensitivity": ONE,
        "correlation": 0 * ONE,
        "position": np.ones((1, 1)),
        "masking": np.array([[0.0], [1.0]]),
        "rate_weight": 0.5,
    }
    return DistortionModel(**{**plain, **changes})


def random_form(seed=0):
    rng = np.random.default_rng(seed)
    form = model(
        sensitivity=rng.uniform(0.3, 4, (3, 8, 8)), correlation=rng.uniform(-0.5, 0.5, (3, 8, 8))
    )
    h = np.zeros((8, 8, 3, 3))
    for c in range(3):
        h[..., c, c] = form.sensitivity[c]
    for rho, (a, b) in zip(form.correlation, PAIRS, strict=True):
        h[..., a, b] = h[..., b, a] = rho * np.sqrt(form.sensitivity[a] * form.sensitivity[b])
    return form, h


def test_what_is_left_after_the_others_is_one_over_the_inverse():
    form, h = random_form()
    y, cb, cr = form.conditional()
    # Nothing makes up for Y's errors, Y for Cr's, Cr and Y for Cb's.
    assert np.allclose(y, h[..., 0, 0])
    assert np.allclose(cb, 1 / np.linalg.inv(h)[..., 1, 1])
    pair = h[..., [0, 2], :][..., [0, 2]]
    assert np.allclose(cr, 1 / np.linalg.inv(pair)[..., 1, 1])


def test_corrections_are_the_minimum_of_the_form():
    form, h = random_form(1)
    cr_for_cb, y_for_cb, y_for_cr = form.corrections()
    assert np.allclose(y_for_cb, h[..., 0, 1] / h[..., 0, 0])
    assert np.allclose(y_for_cr, h[..., 0, 2] / h[..., 0, 0])
    # Of Cb and Cr, what Y leaves.
    left = h[..., 1:, 1:] - h[..., 1:, :1] * h[..., :1, 1:] / h[..., :1, :1]
    assert np.allclose(cr_for_cb, left[..., 0, 1] / left[..., 1, 1])


def test_places_lie_linearly_between_the_centres_of_the_grid():
    grid = np.array([[1.0, 3.0], [5.0, 9.0]])
    # Of four blocks the outer ones lie beyond the centres: shares 0, 1/4, 3/4, 1; of six likewise.
    down, right = [0, 0.25, 0.75, 1], [0, 0, 1 / 3, 2 / 3, 1, 1]
    wanted = [[(1 - a) * (1 + 2 * b) + a * (5 + 4 * b) for b in right] for a in down]
    found = model(position=grid).block_weights(np.zeros((4, 6, 8, 8)))
    assert np.allclose(found, wanted)


@pytest.mark.parametrize("shape", [(3, 5), (4, 1), (7, 7), (16, 9)])
def test_places_are_those_of_numpys_interpolation(shape):
    """Along both axes in turn, flat beyond the outermost centres."""

    def interpolated(at, knots, line):
        return np.interp(at, knots, line)

    grid = np.random.default_rng(3).uniform(0.5, 2, (4, 5))
    wanted = grid
    for axis, count in enumerate(shape):
        cells = grid.shape[axis]
        knots, at = (np.arange(cells) + 0.5) / cells, (np.arange(count) + 0.5) / count
        wanted = np.apply_along_axis(partial(interpolated, at, knots), axis, wanted)
    assert np.allclose(model(position=grid).block_weights(np.zeros((*shape, 8, 8))), wanted)


def test_masking_is_linear_in_the_logarithm_of_the_contrast():
    luma = np.zeros((1, 5, 8, 8))
    luma[..., 0, 0] = 1000.0  # The DC is no contrast.
    # 2^0, 2^2, 2^6, 2^10 and more than the last knot.
    luma[0, 1, 0, 1], luma[0, 2, 7, 7], luma[0, 3, 3, 4], luma[0, 4, 1, 0] = 2, 8, 32, 400
    form = model(masking=np.array([[2.0, 6.0, 10.0], [4.0, 2.0, 1.0]]))
    assert np.allclose(form.block_weights(luma), [[4, 4, 2, 1, 1]])
    luma[0, 2, 7, 7] = -4
    assert form.block_weights(luma)[0, 2] == pytest.approx(3)


def test_as_json_and_back_to_four_digits():
    form, _ = random_form(2)
    body = json.loads(json.dumps(form.as_dict()))
    again = DistortionModel.from_dict(body)
    for name in ("sensitivity", "correlation", "position", "masking"):
        assert np.allclose(getattr(again, name), getattr(form, name), rtol=5e-4, atol=5e-5)
        assert np.shape(body[name]) == getattr(form, name).shape
    assert body["rate_weight"] == again.rate_weight == 0.5


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position": np.ones(3)}, "position must be a grid, and masking two rows"),
        ({"masking": np.ones((3, 2))}, "position must be a grid, and masking two rows"),
        ({"masking": np.ones((2, 0))}, r"masking\[0\] must rise"),
        ({"masking": [[1, 1], [1, 1]]}, r"masking\[0\] must rise"),
        ({"masking": [[0], [0]]}, r"masking\[1\] must be positive"),
        ({"position": [[1, 0]]}, "position must be positive"),
        ({"correlation": 1.001 * ONE}, "correlation must be from -1 to 1"),
        ({"correlation": -1.001 * ONE}, "correlation must be from -1 to 1"),
        ({"sensitivity": np.nan * ONE}, "sensitivity must be finite"),
        ({"correlation": np.zeros((3, 8))}, r"correlation must have shape \(3, 8, 8\)"),
        ({"rate_weight": float("inf")}, "rate_weight must be finite and at least 0, got inf"),
        ({"rate_weight": -1e-9}, "rate_weight must be finite and at least 0"),
    ],
)
def test_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        model(**changes)
