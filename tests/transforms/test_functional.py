"""`softjpeg.transforms.functional`, judged by torchvision's, albumentations and kornia."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import noise, smooth_image, smooth_images
from softjpeg.presets.preset import Preset

pytest.importorskip("torchvision", reason="softjpeg[models] is not installed")
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from softjpeg.transforms.functional import differentiable_jpeg, jpeg

COLOUR, GRAY = smooth_images(1, 37, 50, grain=0.1)[0], noise(1, 24, 3)[0, :1]
BOTH = pytest.mark.parametrize("function", [F.jpeg, jpeg], ids=["torchvision", "softjpeg"])
pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")


@BOTH
@pytest.mark.parametrize("quality", [5, 75])
@pytest.mark.parametrize("image", [COLOUR, GRAY], ids=["colour", "gray"])
def test_torchvisions_contract_of_a_kernel(function, quality, image):
    version = image._version
    shown = function(image, quality=quality)
    assert image._version == version
    assert (shown.dtype, shown.device, shown.shape) == (image.dtype, image.device, image.shape)
    for batch in ((2,), (2, 1)):
        repeated = image.repeat(*batch, 1, 1, 1)
        assert torch.equal(function(repeated, quality=quality), shown.repeat(*batch, 1, 1, 1))
    for none in ((0,), (5, 0), (0, 5)):
        empty = torch.empty(none + image.shape, dtype=image.dtype)
        assert function(empty, quality=quality).shape == empty.shape


@BOTH
@pytest.mark.parametrize(
    "image",
    [COLOUR, tv_tensors.Image(COLOUR), tv_tensors.Video(COLOUR[None]), smooth_image()],
    ids=["tensor", "image", "video", "pillow"],
)
def test_torchvisions_contract_of_a_functional(function, image):
    assert type(function(image, quality=5)) is type(image)
    for other in (object(), tv_tensors.Mask(COLOUR)):
        with pytest.raises(TypeError, match=re.escape(str(type(other)))):
            function(other, quality=5)


@pytest.mark.parametrize("quality", [1, 30, 75, 100])
def test_torchvisions_pixels(quality):
    for image in (COLOUR, GRAY, tv_tensors.Video(noise(2, 17))):
        assert torch.equal(jpeg(image, quality), F.jpeg(image, quality))
    picture = smooth_image()
    assert jpeg(picture, quality).tobytes() == F.jpeg(picture, quality).tobytes()


def test_presets_and_subsampling():
    buffer = io.BytesIO()
    F.to_pil_image(COLOUR).save(buffer, "jpeg", quality=40, subsampling="4:4:4")
    exact = F.pil_to_tensor(Image.open(buffer))
    assert torch.equal(jpeg(COLOUR, 40, subsampling="4:4:4"), exact)
    assert torch.equal(jpeg(COLOUR, Preset.from_quality(40, "4:4:4")), exact)
    with pytest.raises(ValueError, match=r"quality.short_side must be None .* got 288"):
        jpeg(COLOUR, Preset(np.full((8, 8), 9), np.full((8, 8), 9), short_side=288))
    with pytest.raises(ValueError, match=r"quality.center must be None .* got 0.5"):
        jpeg(COLOUR, Preset(np.full((8, 8), 9), np.full((8, 8), 9), center=0.5))
    with pytest.raises(ValueError, match="101"):
        jpeg(COLOUR, 101)


@pytest.mark.parametrize("quality", [10, 30, 75])
def test_beside_albumentations(quality, monkeypatch):
    """It takes arrays for BGR: of RGB ones, its file is another picture's."""
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    albumentations = pytest.importorskip("albumentations", reason="it is not installed")
    transform = albumentations.ImageCompression(quality_range=(quality, quality), p=1.0)
    rgb = COLOUR.permute(1, 2, 0).numpy()
    theirs = transform(image=np.ascontiguousarray(rgb[..., ::-1]))["image"][..., ::-1]
    ours = np.asarray(jpeg(Image.fromarray(rgb), quality))
    assert np.array_equal(ours, theirs)
    swapped = transform(image=rgb)["image"].astype(int)
    assert np.abs(swapped - ours).mean() > 1


@pytest.mark.parametrize("quality", [10, 30, 75])
def test_beside_kornia(quality):
    """Both have a gradient; how far is each from the file that both stand for?"""
    augmentation = pytest.importorskip("kornia", reason="it is not installed").augmentation
    images = (COLOUR[None] / 255).requires_grad_()
    exact = jpeg(COLOUR, quality).float()
    theirs = augmentation.RandomJPEG(jpeg_quality=(float(quality),) * 2, p=1.0)
    shown = {
        "kornia": theirs(images),
        "soft": differentiable_jpeg(images, [Preset.from_quality(quality)]),
        "hard": differentiable_jpeg(images, [Preset.from_quality(quality)], "hard"),
    }
    far = {name: (255 * x[0] - exact).abs().mean().item() for name, x in shown.items()}
    assert far["hard"] < far["soft"] < far["kornia"]
    for x in shown.values():
        (gradient,) = torch.autograd.grad(x.square().sum(), images)
        assert gradient.abs().mean() > 1e-3
