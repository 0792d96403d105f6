"""Planes against NumPy's own transposing."""

import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg.common.image_planes import picture_of, planes_of


@pytest.mark.parametrize(("mode", "shape"), [("RGB", (7, 5, 3)), ("L", (7, 5))])
def test_planes_are_the_pixels_transposed_and_back(mode, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    picture = Image.fromarray(pixels)
    assert picture.mode == mode
    planes = planes_of(picture)
    assert planes.is_contiguous()
    assert np.array_equal(planes.permute(1, 2, 0).numpy(), pixels.reshape(7, 5, -1))
    again = picture_of(planes)
    assert (again.mode, again.size) == (mode, (5, 7))
    assert np.array_equal(np.asarray(again), pixels)


def test_planes_with_gaps_between_their_samples():
    wide = torch.randint(0, 256, (5, 8, 6)).byte()
    view = wide[::2, ::2].flip(-1)
    shown = np.asarray(picture_of(view))
    assert np.array_equal(shown, view.permute(1, 2, 0).numpy())
