"""Preprocessing against Pillow and torchvision on the same 8-bit images."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import as_tensor, smooth_image
from helpers.shared_data import imagenet_photos
from softjpeg.models.preprocessing import Preprocessed, Preprocessing

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SIZES = [(375, 500), (500, 333), (97, 301), (40, 30), (1, 60)]


def levels(preprocessing, picture):
    return (preprocessing(as_tensor(picture)[None] / 255)[0] * 255).round()


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [24, 64, 256])
def test_resizing_is_pillows(interpolation, size, side):
    picture = smooth_image(*size, seed=1, cells=9)
    noise = np.random.default_rng(0).integers(-40, 40, (*size, 3))
    picture = Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))
    preprocessing = Preprocessing(side, interpolation=interpolation)
    height, width = preprocessing.resized(size)
    if width > 4096:
        return
    wanted = as_tensor(picture.resize((width, height), FILTERS[interpolation]))
    differences = (levels(preprocessing, picture) - wanted).abs()
    assert (differences > 1).float().mean() <= 1e-3
    assert differences.max() <= 3


def test_photos_are_read_as_torchvision_reads_them():
    transforms = pytest.importorskip("torchvision.transforms", reason="needs torchvision")
    read = transforms.Compose([transforms.Resize(256, 3), transforms.CenterCrop(224)])
    preprocessing = Preprocessing(256, crop=(224, 224))
    beyond = total = 0
    for photo in imagenet_photos(12):
        differences = (levels(preprocessing, photo) - as_tensor(read(photo))).abs()
        beyond, total = beyond + int((differences > 1).sum()), total + differences.numel()
    assert beyond / total <= 1e-3


@pytest.mark.parametrize(
    ("preprocessing", "size"),
    [
        (Preprocessing(12, crop=(8, 8)), (20, 31)),
        (Preprocessing(9, "squash", interpolation="bilinear"), (20, 13)),
        (Preprocessing(10, "letterbox"), (7, 20)),
        (Preprocessing(crop=(4, 6)), (9, 9)),
    ],
)
def test_gradient_is_that_of_finite_differences(preprocessing, size):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 3, *size, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: preprocessing(x, rounding=False), x, fast_mode=True)
    weights = torch.rand(preprocessing(x).shape, dtype=torch.float64, generator=generator)
    smooth, rounded = (
        torch.autograd.grad((weights * preprocessing(x, rounding=r)).sum(), x)[0]
        for r in (False, True)
    )
    assert torch.allclose(smooth, rounded)


def test_fits():
    assert Preprocessing(10, "longer").resized((40, 20)) == (10, 5)
    assert Preprocessing((6, 9), "squash").resized((40, 20)) == (6, 9)
    assert Preprocessing(10).resized((1, 500)) == (10, 5000)
    shown = Preprocessing(8, "letterbox")(torch.ones(1, 3, 4, 16))
    assert shown.shape == (1, 3, 8, 8)
    assert shown[0, 0, :, 0].tolist() == [0.5] * 3 + [1.0] * 2 + [0.5] * 3


def test_a_network_reads_any_size():
    network = Preprocessed(torch.nn.Flatten(), Preprocessing(12, crop=(8, 8)))
    assert network(torch.rand(2, 3, 30, 20)).shape == network(torch.rand(2, 3, 12, 99)).shape


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Preprocessing(8, "zoom"), "fit must be one of shorter, .*, got 'zoom'"),
        (
            lambda: Preprocessing(interpolation="lanczos"),
            "interpolation must be one of .*lanczos",
        ),
        (lambda: Preprocessing(0), "resize must be at least 1, got 0"),
        (lambda: Preprocessing((4, 4)), r"resize must be one side for fit shorter, got \(4, 4\)"),
        (
            lambda: Preprocessing(8, crop=(9, 8))(torch.rand(1, 3, 20, 20)),
            "an image resized to 8x8 is smaller than the crop 8x9",
        ),
        (
            lambda: Preprocessing(256)(torch.rand(1, 3, 1, 60_000)),
            "resized to 15360000x256, an image does not fit into memory",
        ),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_an_image_of_any_size_fits_as_it_is(monkeypatch):
    monkeypatch.setattr("softjpeg.models.preprocessing._MOST_ENLARGED", 100)
    wide = torch.rand(1, 3, 10, 40)
    assert Preprocessing(resize=10)(wide).shape == wide.shape
    with pytest.raises(ValueError, match="resized to 44x11, an image does not fit into memory"):
        Preprocessing(resize=11)(wide)
