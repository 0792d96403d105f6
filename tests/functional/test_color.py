"""Colour and subsampling: against their definitions, and libjpeg-turbo's encode and decode."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import references
from helpers.images import as_tensor, smooth_image
from helpers.ops import Case, OperatorTests, uniform
from helpers.shared_data import imagenet_photos
from softjpeg import JPEGLayer, read_coefficients
from softjpeg.functional import (
    downsample,
    merge_planes,
    rgb_to_ycbcr,
    split_planes,
    upsample,
    ycbcr_to_rgb,
)
from softjpeg.functional.color import replicate_to
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.table_formats import to_pillow
from softjpeg.jpeg.tables import quality_tables

SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def through_pillow(picture, quality, subsampling):
    buffer = io.BytesIO()
    picture.save(
        buffer,
        "jpeg",
        qtables=to_pillow(*quality_tables(quality)),
        subsampling=SUBSAMPLINGS[subsampling],
    )
    return buffer.getvalue()


def codec_layer(quality, subsampling):
    luma, chroma = quality_tables(quality)
    return JPEGLayer(luma, chroma, quantizer="hard", subsampling=subsampling, rounding=True)


def smooth_picture(height, width, seed):
    """With grain: every coefficient is at work."""
    rng = np.random.default_rng(seed)
    smooth = np.asarray(smooth_image(height, width, rng, cells=7)).astype(float)
    grain = rng.normal(0, 6, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("subsampling", "limit"), [("4:4:4", 0.5), ("4:2:2", 0.6), ("4:2:0", 0.6)])
def test_proxy_equals_the_real_codec_on_real_photos(subsampling, limit):
    photos = imagenet_photos(8, size=(203, 181))
    for quality in (5, 25, 50, 75):
        differences = []
        for photo in photos:
            shown = codec_layer(quality, subsampling)(as_tensor(photo)[None] / 255)[0] * 255
            real = as_tensor(Image.open(io.BytesIO(through_pillow(photo, quality, subsampling))))
            differences.append((shown.detach() - real).abs().mean().item())
        assert np.mean(differences) <= limit
        print(f"{subsampling} q {quality}: mean absolute difference {np.mean(differences):.3f}")


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (9, 17), (16, 15), (33, 50), (3, 64)])
def test_decoding_equals_libjpegs_at_any_size(subsampling, size):
    """From the same coefficients, so that no tie can fall two ways."""
    for quality, seed in ((30, 0), (50, 1), (90, 2)):
        data = through_pillow(smooth_picture(*size, seed), quality, subsampling)
        file = read_coefficients(data)
        dequantized = [
            torch.from_numpy(indices * table).float()
            for indices, table in zip(file.components, file.tables, strict=True)
        ]
        shown = coefficients_to_image(dequantized, size, subsampling, rounding=True) * 255
        real = as_tensor(Image.open(io.BytesIO(data)))
        assert shown.shape == real.shape
        assert (shown - real).abs().mean() <= 0.1
        assert (shown - real).abs().max() <= 3


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(40, 56), (37, 51), (1, 9), (30, 2)])
def test_coefficients_are_libjpegs(subsampling, size):
    """With steps of 1 a file shows every coefficient: equal up to libjpeg's integer DCT."""
    picture = smooth_picture(*size, seed=3)
    data = through_pillow(picture, 100, subsampling)
    ours = image_to_coefficients(as_tensor(picture) / 255, subsampling, rounding=True)
    for component, z in zip(read_coefficients(data).components, ours, strict=True):
        assert component.shape == tuple(z.shape)
        assert np.abs(component - z.numpy()).max() <= 1.0


def test_grayscale():
    picture = smooth_picture(21, 34, 5).convert("L")
    buffer = io.BytesIO()
    luma, _ = quality_tables(40)
    picture.save(buffer, "jpeg", qtables=to_pillow(luma))
    x = torch.from_numpy(np.array(picture))[None, None] / 255
    real = np.array(Image.open(buffer))
    assert np.abs(codec_layer(40, "4:2:0")(x)[0, 0].detach().numpy() * 255 - real).mean() <= 0.5


def test_color_round_trip_and_known_colours():
    x = torch.rand(2, 3, 5, 7, dtype=torch.float64) * 255
    assert torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(x)), x, atol=1e-4)
    red = rgb_to_ycbcr(torch.tensor([255.0, 0, 0])[:, None, None]).flatten()
    assert torch.allclose(red, torch.tensor([76.245, 84.972, 255.5]), atol=0.01)


PIXELS = uniform(2, 3, 5, 9, high=255.0)
LAYOUTS = {name: Case((PIXELS,), {"subsampling": name}) for name in SUBSAMPLINGS}


class TestRgbToYcbcr(OperatorTests):
    function, reference = staticmethod(rgb_to_ycbcr), staticmethod(references.ycbcr)
    cases = {"batch": Case((PIXELS,)), "clip": Case((PIXELS[:, None],))}
    precision = 1e-8  # The standard's weights, to nine digits.


class TestYcbcrToRgb(OperatorTests):
    function, reference = staticmethod(ycbcr_to_rgb), staticmethod(references.rgb)
    cases = {"batch": Case((PIXELS,)), "clip": Case((PIXELS[:, None],))}
    precision = 1e-8


class TestDownsample(OperatorTests):
    function, reference = staticmethod(downsample), staticmethod(references.box)
    cases = {name: Case((uniform(2, 4, 6),), {"subsampling": name}) for name in SUBSAMPLINGS}


class TestUpsample(OperatorTests):
    function, reference = staticmethod(upsample), staticmethod(references.triangle)
    cases = {
        f"{name} {size}": Case(
            (uniform(2, -(-size[0] // v), -(-size[1] // h)),),
            {"subsampling": name, "size": size},
        )
        for name, (h, v) in references.FACTORS.items()
        for size in ((1, 1), (3, 4), (4, 2), (7, 9))
    }


class TestReplicateTo(OperatorTests):
    function = staticmethod(replicate_to)
    cases = {
        name: Case((uniform(2, 3, 4, 5),), {"height": height, "width": width})
        for name, height, width in (("both", 9, 6), ("down", 7, 5), ("as it is", 4, 5))
    }

    @staticmethod
    def reference(plane, height, width):
        lead = [(0, 0)] * (plane.ndim - 2)
        more = (0, height - plane.shape[-2]), (0, width - plane.shape[-1])
        return np.pad(plane, [*lead, *more], mode="edge")


class TestSplitPlanes(OperatorTests):
    function, reference = staticmethod(split_planes), staticmethod(references.planes)
    cases = {
        **LAYOUTS,
        "gray": Case((PIXELS[:, :1],), {"subsampling": "4:2:0"}),
        "wide": Case((uniform(1, 3, 17, 33, high=255.0),), {"subsampling": "4:2:0"}),
    }
    precision = 1e-8


class TestMergePlanes(OperatorTests):
    @staticmethod
    def function(*planes, **settings):
        return merge_planes(planes, **settings)

    @staticmethod
    def reference(*planes, **settings):
        return references.merged(planes, **settings)

    cases = {
        name: Case(
            tuple(uniform(2, 8 * -(-5 // (8 * v)), 8 * -(-20 // (8 * h)), low=-128, high=127)
                  for h, v in ((1, 1), factors, factors)),
            {"size": (5, 20), "subsampling": name},
        )
        for name, factors in references.FACTORS.items()
    }  # fmt: skip
    precision = 1e-8
    empty = None  # All planes would have to be.


def test_rounding_passes_gradients_straight_through():
    x = (torch.rand(3, 16, 16) * 255).requires_grad_()
    gradients = []
    for rounding in (False, True):
        planes = split_planes(x, "4:2:0", rounding=rounding)
        y = merge_planes(planes, (16, 16), "4:2:0", rounding=rounding)
        gradients.append(torch.autograd.grad((y * torch.arange(16.0)).sum(), x)[0])
    assert torch.allclose(*gradients, atol=1e-4)


def test_refusals():
    with pytest.raises(ValueError, match=r"subsampling must be one of .*, got '4:1:1'"):
        split_planes(torch.zeros(3, 8, 8), "4:1:1")
    with pytest.raises(
        ValueError, match=r"rgb must have shape \(\.\.\., 3, H, W\), got \(2, 8, 8\)"
    ):
        rgb_to_ycbcr(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match="at least one pixel, got 0x4"):
        split_planes(torch.zeros(3, 4, 0), "4:4:4")
