"""Integers and pixels of 0..255 where floats in [0, 1] belong, at every public entry."""

import warnings

import pytest
import torch

import softjpeg
from softjpeg import FeatureJPEGLayer, JPEGLayer, functional

ONE = torch.ones(1, 2, 8, 8)
STEP, SHARPNESS = torch.tensor(3.0), torch.tensor(1.0)

TABLE = torch.ones(8, 8)


def of_blocks(x):
    return x.reshape(-1, 2, 2, 8, 8)


ENTRIES = {
    "block_dct": functional.block_dct,
    "block_idct": lambda x: functional.block_idct(x.reshape(-1, 2, 2, 8, 8)),
    "cpmf": lambda x: functional.cpmf(x, STEP, SHARPNESS),
    "cubic_quantize": lambda x: functional.cubic_quantize(x, STEP),
    "downsample": lambda x: functional.downsample(x, "4:2:0"),
    "entropy_bits": lambda x: functional.entropy_bits([of_blocks(x)], [TABLE], [TABLE]),
    "hard_quantize": lambda x: functional.hard_quantize(x, STEP),
    "jpeg_bits": lambda x: functional.jpeg_bits([of_blocks(x)], [TABLE], [TABLE], size=(16, 16)),
    "jpeg_layer": lambda x: functional.jpeg_layer(x, ONE, ONE),
    "lsq_quantize": lambda x: functional.lsq_quantize(x, STEP),
    "merge_planes": lambda x: functional.merge_planes([x[:, 0]], (16, 16), "4:4:4"),
    "noise_quantize": lambda x: functional.noise_quantize(x, STEP),
    "quantize": lambda x: functional.quantize(x, STEP, SHARPNESS, kind="none"),
    "rgb_to_ycbcr": functional.rgb_to_ycbcr,
    "sample_index": lambda x: functional.sample_index(x, STEP, SHARPNESS),
    "soft_quantize": lambda x: functional.soft_quantize(x, STEP, SHARPNESS),
    "split_planes": lambda x: functional.split_planes(x[:, :1], "4:2:0"),
    "upsample": lambda x: functional.upsample(x, "4:2:0", (32, 32)),
    "ycbcr_to_rgb": functional.ycbcr_to_rgb,
}


def identity():
    return softjpeg.wrap(torch.nn.Flatten(), None, [0.5] * 3, [0.2] * 3)


MODULES = {
    "JPEGLayer": JPEGLayer(),
    "FeatureJPEGLayer": FeatureJPEGLayer(3),
    "wrap": identity(),
}


def test_every_function_is_here():
    assert {*ENTRIES, "pure_functions"} == {*functional.__all__}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("name", [*ENTRIES, *MODULES])
def test_integers_are_refused(name, dtype):
    entry = (ENTRIES | MODULES)[name]
    entry(torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match=r"must be of floating point numbers, got torch\."):
        entry(torch.ones(1, 3, 16, 16, dtype=dtype))


@pytest.mark.parametrize("make", [JPEGLayer, identity])
@pytest.mark.parametrize("channels", [3, 1])
def test_pixels_of_bytes_are_noticed_once(make, channels):
    module = make()
    image = torch.zeros(2, channels, 8, 8)
    image[1, -1, 3, 4] = 250.0
    with pytest.warns(UserWarning, match=r"image should be .* in \[0, 1\], got .* from 0 to 250 "):
        module(image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module(image)


def test_normalized_images_are_noticed():
    """Less their mean, by their deviation: what networks want, and JPEG does not."""
    normalized = (torch.rand(1, 3, 8, 8) - 0.5) / 0.25
    normalized[0, 0, 0, 0] = -2.1179
    with pytest.warns(UserWarning, match=r"got values from -2\.118 to"):
        JPEGLayer()(normalized)


def test_noise_and_feature_maps_are_no_matter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        JPEGLayer()(torch.rand(2, 3, 8, 8) + 0.2 * torch.randn(2, 3, 8, 8).clamp(-3, 3))
        FeatureJPEGLayer(3)(100 * torch.randn(2, 3, 8, 8))
        JPEGLayer()(torch.full((1, 3, 8, 8), torch.nan))
        JPEGLayer()(torch.rand(1, 3, 8, 8, requires_grad=True))


@pytest.mark.parametrize(
    "settings", [{"levels": 2**31}, {"levels": 2**24 + 1}, {"window": 10**6 + 1}, {"window": 4097}]
)
def test_index_sets_have_bounds(settings):
    name = next(iter(settings))
    for call in (
        lambda: JPEGLayer(**settings),
        lambda: functional.soft_quantize(torch.zeros(2), STEP, SHARPNESS, **settings),
        lambda: functional.cpmf(torch.zeros(2), STEP, SHARPNESS, **settings),
    ):
        with pytest.raises(ValueError, match=f"{name} must be .*from .* got {settings[name]}"):
            call()
