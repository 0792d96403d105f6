"""The transform in C against the pure functions in float64, and libjpeg's colour in integers."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from softjpeg.functional.color import merge_planes, split_planes
from softjpeg.functional.dct import block_dct, block_idct
from softjpeg.functional.quantizers import hard_quantize
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.subsampling import SUBSAMPLINGS
from softjpeg.kernels.cpu import transform as kernel
from softjpeg.kernels.cpu.transform_autograd import Operator, is_fast
from softjpeg.kernels.library import is_available

pytestmark = pytest.mark.skipif(not is_available("_decisions"), reason="no kernels were built")


def pixels(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def pure_coefficients(image, subsampling, rounding):
    return [block_dct(p) for p in split_planes(image * 255, subsampling, rounding=rounding)]


def pure_image(coefficients, size, subsampling, rounding):
    planes = [block_idct(z) for z in coefficients]
    return merge_planes(planes, size, subsampling, rounding=rounding) / 255


def with_gradients(function, leaves, weights):
    leaves = [x.detach().requires_grad_() for x in leaves]
    made = function(leaves)
    value = sum((x * w.to(x)).sum() for x, w in zip(made, weights, strict=True))
    return [x.detach() for x in made], torch.autograd.grad(value, leaves)


def assert_close(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == torch.float32
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * b.abs().max().clamp_min(1)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", [(9, 17), (64, 48), (21, 2)])
def test_rounded_planes_are_exactly_the_definitions(subsampling, size):
    image = pixels(1, 3, *size)
    planes = split_planes(image.double(), subsampling, rounding=True)
    for given in (image, image.float() / 255):
        found = image_to_coefficients(given, subsampling, rounding=True)
        for z, plane in zip(found, planes, strict=True):
            assert torch.equal(block_idct(z.double()).round(), plane)


def test_colour_is_libjpegs_integer_arithmetic_for_every_tie():
    """jccolor.c's sums, in integers, at every red and green with some blues."""
    values = np.arange(256)
    red, green, blue = np.meshgrid(values, values, values[::17], indexing="ij")
    image = np.stack([red, green, blue]).reshape(1, 3, 256, -1).astype(np.uint8)
    r, g, b = image[0].astype(np.int64)
    half = (128 << 16) + 32767
    wanted = [
        ((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) - 128,
        ((-11059 * r - 21709 * g + 32768 * b + half) >> 16) - 128,
        ((32768 * r - 27439 * g - 5329 * b + half) >> 16) - 128,
    ]
    found = kernel.image_to_coefficients(image, (1, 1), rounding=True)
    for z, plane in zip(found, wanted, strict=True):
        made = block_idct(torch.from_numpy(z)[0].double()).round().numpy()
        assert np.array_equal(made, plane)
    pure = split_planes(torch.from_numpy(image).float(), "4:4:4", rounding=True)
    for plane, own in zip(pure, wanted, strict=True):
        assert np.array_equal(plane[0].numpy(), own)


def test_any_strides():
    """Rows of pixels, channels last, a window of a larger image, repeated and mirrored."""
    whole = pixels(2, 40, 50, 3)
    views = [whole.permute(0, 3, 1, 2), whole.permute(0, 3, 2, 1)[..., 3:30:2, 5:]]
    views += [
        whole[:1].permute(0, 3, 1, 2).expand(3, 3, 40, 50),
        whole[0, :, :, :1].permute(2, 0, 1),
    ]
    for view in views:
        for image in (view, view.float() / 255):
            found = image_to_coefficients(image, "4:2:0", rounding=True)
            wanted = image_to_coefficients(image.contiguous(), "4:2:0", rounding=True)
            assert all(map(torch.equal, found, wanted))
    mirrored = whole.numpy().transpose(0, 3, 1, 2)[..., ::-1]
    for array in (mirrored, np.divide(mirrored, 255, dtype=np.float32)):
        found = kernel.image_to_coefficients(array, (2, 1), rounding=False)
        wanted = kernel.image_to_coefficients(array.copy(), (2, 1), rounding=False)
        assert all(map(np.array_equal, found, wanted))
    gradient = torch.randn(2, 17, 19, 3).permute(0, 3, 1, 2)
    operator = Operator(True, (17, 19), (2, 2), False, adjoint=True)
    assert all(map(torch.equal, operator(gradient), operator(gradient.contiguous())))


def test_leading_axes_and_strips():
    """Images of several strips, and any number of axes before them."""
    image = pixels(2, 1, 3, 500, 333)
    for subsampling in SUBSAMPLINGS:
        found = image_to_coefficients(image, subsampling, rounding=True)
        wanted = pure_coefficients(image / 255, subsampling, True)
        assert_close(found, [z.double() for z in wanted], 2e-6)
        shown = coefficients_to_image(found, (500, 333), subsampling)
        assert shown.shape == image.shape
        assert_close([shown], [pure_image(wanted, (500, 333), subsampling, False)], 1e-5)


def test_quantized_on_the_way_back():
    """Values are those of quantized coefficients, the gradient is that of unquantized ones."""
    size = (21, 35)
    z = image_to_coefficients(pixels(2, 3, *size), "4:2:2", rounding=True)
    steps = [torch.arange(1.0, 65).reshape(8, 8) + c for c in range(3)]
    quantized = [hard_quantize(x, q) for x, q in zip(z, steps, strict=True)]
    wanted = coefficients_to_image(quantized, size, "4:2:2", rounding=True)
    weights = [torch.randn_like(wanted)]

    def shown(leaves):
        given = [q.to(leaves[0]) for q in steps]
        return [coefficients_to_image(leaves, size, "4:2:2", rounding=True, steps=given)]

    found, gradients = with_gradients(shown, z, weights)
    assert torch.equal(found[0], wanted)
    pure, true = with_gradients(shown, [x.double() for x in z], weights)
    assert ((pure[0] - wanted).abs() > 1e-4).sum() <= 1e-3 * wanted.numel()
    assert_close(gradients, true, 2e-6)


@pytest.mark.parametrize("rounding", [False, True])
def test_gradients_of_gradients(rounding):
    """Of a function that is not linear in the image."""
    image, weights = torch.rand(1, 3, 9, 13), torch.randn(1, 3, 9, 13)

    def curvature(x):
        z = image_to_coefficients(x, "4:2:0", rounding=rounding)
        squares = [(c / 100) ** 2 for c in z]
        shown = coefficients_to_image(squares, (9, 13), "4:2:0", rounding=rounding)
        (first,) = torch.autograd.grad(shown.pow(2).sum(), x, create_graph=True)
        return torch.autograd.grad((first * weights.to(x)).sum(), x)

    found = curvature(image.clone().requires_grad_())
    wanted = curvature(image.double().requires_grad_())
    assert not is_fast(image.double())
    assert_close(found, wanted, 1e-5)


def test_who_transforms_functions_sees_the_pure_ones():
    image = torch.rand(2, 3, 8, 8)

    def dc(x):
        return image_to_coefficients(x, "4:4:4")[0][..., 0, 0].sum()

    inner = image.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(dc(inner), inner)
    assert torch.allclose(torch.func.grad(dc)(image), wanted)


class Watched(TorchDispatchMode):
    """Counts operators."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_who_watches_operators_sees_them():
    image = torch.rand(2, 3, 8, 8)
    with Watched() as watched:
        found = image_to_coefficients(image, "4:4:4")
    assert watched.count > 10
    assert_close(image_to_coefficients(image, "4:4:4"), found, 2e-6)


def test_refusals():
    with pytest.raises(ValueError, match=r"image must have shape \(B, 3 or 1, H, W\), got \(1, 2"):
        kernel.image_to_coefficients(np.zeros((1, 2, 8, 8), np.uint8), (1, 1), rounding=True)
    with pytest.raises(ValueError, match="image must be float32 with 4 axes, got float64 of shape"):
        kernel.image_to_coefficients(np.zeros((1, 3, 8, 8)), (1, 1), rounding=True)
    with pytest.raises(ValueError, match=r"factors must be .*, got \(4, 1\)"):
        kernel.image_to_coefficients(np.zeros((1, 3, 8, 8), np.uint8), (4, 1), rounding=True)
    flat = [np.zeros((1, 1, 1, 8, 8), np.float32)] * 3
    with pytest.raises(ValueError, match="coefficients must have the shapes"):
        kernel.coefficients_to_image(flat, (9, 8), (1, 1), rounding=True)
    with pytest.raises(ValueError, match=r"steps must be \(8, 8\) per component, got \[\(8,\)\]"):
        kernel.coefficients_to_image(flat[:1], (8, 8), (1, 1), rounding=True, steps=[np.ones(8)])


def test_coefficients_that_whole_samples_have_exactly_are_exact():
    """As in the pure functions: else ties, which small steps make common, are rounded at random."""
    image = torch.randint(0, 256, (2, 1, 40, 32), generator=torch.Generator().manual_seed(0)) / 255
    (z,) = image_to_coefficients(image, "4:4:4", rounding=True)
    blocks = (image[:, 0] * 255).round().reshape(2, 5, 8, 4, 8).transpose(2, 3) - 128
    # Their basis pictures are ±1/8 throughout.
    signs = torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    for row, down in ((0, torch.ones(8)), (4, signs)):
        for column, across in ((0, torch.ones(8)), (4, signs)):
            exact = (blocks * down[:, None] * across).sum((-2, -1)) / 8
            assert torch.equal(z[..., row, column], exact)
