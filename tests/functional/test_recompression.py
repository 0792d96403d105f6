"""Coefficients behind other tables: rounded to multiples, decoded as libjpeg decodes them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor, smooth_image
from helpers.ops import Case, OperatorTests, uniform
from softjpeg import Preset, encode
from softjpeg.functional.recompression import recompressed
from softjpeg.functional.transform import image_to_coefficients

SIZES = {
    "4:4:4": [(1, 1)] * 3,
    "4:2:2": [(1, 1), (1, 2), (1, 2)],
    "4:2:0": [(1, 1), (2, 2), (2, 2)],
}


class TestRecompressed(OperatorTests):
    cases = {
        subsampling: Case(
            tuple(
                uniform(2, -(-20 // (8 * v)), -(-36 // (8 * h)), 8, 8, low=-90, high=90, seed=v)
                for v, h in factors
            ),
            {"subsampling": subsampling},
            smooth=False,
        )
        for subsampling, factors in SIZES.items()
    }
    only = ("test_any_layout_in_memory", "test_devices", "test_compiled")

    @staticmethod
    def function(*coefficients, subsampling):
        tables = torch.full((8, 8), 12.0), torch.full((8, 8), 20.0)
        tables = [table.to(coefficients[0].device) for table in tables]
        return recompressed(coefficients, tables, (20, 36), subsampling)


@pytest.mark.parametrize("subsampling", SIZES)
def test_it_is_what_pillow_shows_of_the_file(subsampling):
    preset = Preset.from_quality(40, subsampling)
    picture = smooth_image(45, 62, seed=3)
    with Image.open(io.BytesIO(encode(picture, preset))) as file:
        real = np.asarray(file).transpose(2, 0, 1).astype(float)
    z = image_to_coefficients(as_tensor(picture)[None], subsampling, rounding=True)
    tables = torch.from_numpy(preset.luma), torch.from_numpy(preset.chroma)
    shown = recompressed(z, tables, (45, 62), subsampling)[0].numpy() * 255
    # libjpeg's integer DCT rounds some ties its own way.
    assert np.abs(shown - real).mean() <= 0.5
    # Drawn indices of a hard CPMF are the rounded ones.
    drawn = recompressed(z, tables, (45, 62), subsampling, hardness=1e6)[0].numpy() * 255
    assert np.abs(drawn - shown).mean() <= 0.1
