"""Initial tables: statistics against loops in float64 over scipy's DCT, tables against formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn, idctn
from torch import nn

from softjpeg.nn.initial_tables import (
    feature_statistics,
    image_statistics,
    random_tables,
    tables_from_magnitude,
    tables_from_sensitivity,
)

# JFIF, sec. 3: RGB to YCbCr.
TO_YCC = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.5],
        [0.5, -0.587 / 1.402, -0.114 / 1.402],
    ]
)
TO_RGB = np.linalg.inv(TO_YCC)
LABELS = torch.tensor([2, 0, 1])


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(inputs, seed=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def blocks_of(plane):
    height, width = plane.shape
    for y in range(0, height, 8):
        for x in range(0, width, 8):
            yield plane[y : y + 8, x : x + 8]


def padded(plane):
    height, width = plane.shape
    return np.pad(plane, ((0, -height % 8), (0, -width % 8)), mode="edge")


def dct_of_gradient(gradient):
    """d/dz of what depends on idct(z): the DCT is orthonormal."""
    return dctn(gradient, norm="ortho")


@pytest.mark.parametrize("size", [(16, 24), (11, 13)])
def test_image_statistics_are_means_over_images_and_blocks(size):
    images, model = random(3, 3, *size), network(3 * size[0] * size[1])
    found_s, found_magnitude = image_statistics(model, images, LABELS)
    s, magnitude, count = np.zeros((3, 8, 8)), np.zeros((3, 8, 8)), 0
    for image, label in zip(images, LABELS, strict=True):
        image = image.clone().requires_grad_()
        F.cross_entropy(model(image[None]), label[None]).backward()
        # By the chain rule: image = (TO_RGB · ycc + offset) / 255, cropped from whole blocks.
        ycc = np.tensordot(TO_YCC, image.detach().numpy() * 255, 1)
        ycc[0] -= 128
        gradient = np.tensordot(TO_RGB.T, image.grad.numpy() / 255, 1)
        for c in range(3):
            extra = [(0, -n % 8) for n in size]
            pairs = zip(
                blocks_of(padded(ycc[c])), blocks_of(np.pad(gradient[c], extra)), strict=True
            )
            for block, block_gradient in pairs:
                magnitude[c] += abs(dctn(block, norm="ortho"))
                s[c] += dct_of_gradient(block_gradient) ** 2
                count += c == 0
    np.testing.assert_allclose(found_magnitude, magnitude / count, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found_s, s / count, rtol=2e-4, atol=1e-12)


def test_subsampled_chroma_is_the_gradient_of_finite_differences():
    """A loss after one coefficient is moved a little, for 4:2:0, where the chain rule is longer."""
    from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients

    image, model = random(1, 3, 16, 16, seed=5), network(3 * 256)
    s, _ = image_statistics(model, image, LABELS[:1], "4:2:0")
    z = image_to_coefficients(image, "4:2:0")

    def loss(c, i, j, by):
        moved = [plane.clone() for plane in z]
        moved[c][0, 0, 0, i, j] += by
        return F.cross_entropy(model(coefficients_to_image(moved, (16, 16), "4:2:0")), LABELS[:1])

    # One chroma block: its mean square is its only gradient, squared.
    for c, i, j in ((1, 0, 0), (2, 1, 2), (1, 3, 0)):
        slope = (loss(c, i, j, 1e-3) - loss(c, i, j, -1e-3)).item() / 2e-3
        assert s[c, i, j].item() == pytest.approx(slope**2, rel=1e-3)


@pytest.mark.parametrize("size", [(16, 8), (9, 14)])
def test_feature_statistics_are_means_over_images_channels_and_blocks(size):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    model = nn.Sequential(conv, network(4 * size[0] * size[1])).double()
    images = random(3, 3, *size)
    found_s, found_magnitude = feature_statistics(model, "0", images, LABELS)
    s, magnitude, count = np.zeros((8, 8)), np.zeros((8, 8)), 0
    for image, label in zip(images, LABELS, strict=True):
        features = conv(image[None]).detach().requires_grad_()
        F.cross_entropy(model[1](features), label[None]).backward()
        extra = [(0, -n % 8) for n in size]
        for plane, gradient in zip(features[0].detach(), features.grad[0], strict=True):
            pairs = zip(
                blocks_of(padded(plane.numpy())),
                blocks_of(np.pad(gradient.numpy(), extra)),
                strict=True,
            )
            for block, block_gradient in pairs:
                magnitude += abs(dctn(block, norm="ortho"))
                s += dct_of_gradient(block_gradient) ** 2
                count += 1
    np.testing.assert_allclose(found_magnitude[0], magnitude / count, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_s[0], s / count, rtol=2e-4, atol=1e-12)


def test_statistics_leave_the_network_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten())
    model.append(nn.Linear(4 * 64, 3)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = random(3, 3, 8, 8).float()
    image_statistics(model, images, LABELS)
    feature_statistics(model, "0", images, LABELS)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    # No hook is left behind.
    assert not model[0]._forward_hooks


def test_tables_from_sensitivity():
    s = random(3, 8, 8) + 0.1
    luma, chroma = tables_from_sensitivity(s, q_max=7.0)
    largest = max(1 / v for v in s[0].flatten().tolist())
    for i in range(8):
        for j in range(8):
            y, cb, cr = s[:, i, j].tolist()
            assert luma[i, j].item() == pytest.approx(7 / y / largest)
            assert chroma[i, j].item() == pytest.approx(7 * 2 / (cb + cr) / largest)
    (features,) = tables_from_sensitivity(s[:1], q_max=7.0)
    torch.testing.assert_close(features, luma)


@pytest.mark.parametrize("bits", [2, 8])
def test_tables_from_magnitude(bits):
    magnitude = random(3, 8, 8)
    luma, chroma = tables_from_magnitude(magnitude, bits)
    np.testing.assert_allclose(luma, 2 * magnitude[0] / np.sqrt(2 ** (bits - 1)))
    np.testing.assert_allclose(
        chroma, 2 * (magnitude[1] + magnitude[2]) / 2 / np.sqrt(2 ** (bits - 1))
    )
    # A coefficient that is always 0 still has a step.
    assert (tables_from_magnitude(torch.zeros(1, 8, 8), bits)[0] > 0).all()


def test_random_tables_are_log_uniform_and_follow_their_seed():
    from scipy.stats import kstest

    tables = torch.stack(random_tables(10.0, kinds=40, seed=1))
    exponents = np.log10(tables.flatten().double().numpy() / 10)
    assert kstest(exponents, "uniform", args=(-3, 3)).pvalue > 0.01
    assert torch.equal(tables, torch.stack(random_tables(10.0, kinds=40, seed=1)))
    assert not torch.equal(tables, torch.stack(random_tables(10.0, kinds=40, seed=2)))


def test_refusals():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double()
    images = random(3, 3, 8, 8)
    with pytest.raises(ValueError, match=r"module '0' must give \(B, C, H, W\), got \(3, 192\)"):
        feature_statistics(model, "0", images, LABELS)
    with pytest.raises(ValueError, match="no module 'conv1'; its modules are 0, 1"):
        feature_statistics(model, "conv1", images, LABELS)
    with pytest.raises(ValueError, match=r"bits must be 2..16, got 1"):
        tables_from_magnitude(torch.ones(1, 8, 8), bits=1)


def test_scipys_dct_is_orthonormal():
    """What `dct_of_gradient` rests on."""
    block = random(8, 8).numpy()
    np.testing.assert_allclose(idctn(dctn(block, norm="ortho"), norm="ortho"), block)
    assert np.square(dctn(block, norm="ortho")).sum() == pytest.approx(np.square(block).sum())
