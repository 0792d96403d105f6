"""The entropy estimate against counting and real files; its gradient against differences."""

import io

import numpy as np
import pytest
import torch

from helpers import references
from helpers.ops import Case, OperatorTests, uniform
from helpers.shared_data import imagenet_photos
from softjpeg import Preset, encode
from softjpeg.functional.rate.entropy import entropy_bits, frequency_entropy, predict_dc, scan_bits
from softjpeg.functional.rate.rate_model import scan_bits_by
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.tables import quality_tables


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("window", [None, 3])
def test_the_index_set_is_passed_on(levels, window):
    """One soft AC in four blocks, its probabilities summed in NumPy over the indices allowed."""
    values, step, alpha = np.array([0.2, 0.9, 3.1, 5.3]), 2.0, 0.15
    z, alphas = torch.zeros(1, 2, 2, 8, 8), torch.full((8, 8), 1e6)
    z[..., 2, 3] = torch.from_numpy(step * values).view(1, 2, 2)
    alphas[2, 3] = alpha
    bound = levels or 40
    index = np.arange(-bound, bound + 1)
    p = np.exp(-alpha * step**2 * (values[:, None] - index) ** 2)
    if window:
        p *= abs(index - np.clip(np.round(values), -bound, bound)[:, None]) <= window // 2
    p = (p / p.sum(-1, keepdims=True)).mean(0)
    wanted = -4 * (p[p > 0] * np.log2(p[p > 0])).sum()
    tables = [torch.full((8, 8), step)]
    bits = scan_bits_by(
        "entropy", [z], tables, [alphas], size=(16, 16), levels=levels, window=window
    )
    assert bits.item() == pytest.approx(wanted, rel=1e-4)


def test_hard_entropy_is_that_of_the_histogram():
    z = torch.randn(500, 8, 8, generator=torch.Generator().manual_seed(0)) * 30
    q = torch.linspace(3, 60, 64).reshape(8, 8)
    got = frequency_entropy(z, q, 1e6 / q**2)
    for row, column in ((0, 0), (3, 5), (7, 7)):
        index = np.round(z[:, row, column].numpy() / q[row, column].item())
        _, counts = np.unique(index, return_counts=True)
        p = counts / counts.sum()
        assert got[row, column].item() == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-4)


class TestPredictDc(OperatorTests):
    function = staticmethod(predict_dc)
    cases = {
        "images": Case((uniform(2, 3, 4, 8, 8, low=-500, high=500),)),
        "one image": Case((uniform(3, 4, 8, 8, low=-500, high=500),)),
    }
    epsilons = 400.0

    @staticmethod
    def reference(z):
        z = z.copy()
        dc = z[..., 0, 0].reshape(*z.shape[:-4], -1)
        z[..., 0, 0] = np.diff(dc, prepend=0, axis=-1).reshape(z.shape[:-2])
        return z


class TestEntropyBits(OperatorTests):
    """Of one component, off ties: its frequencies are `frequency_entropy`'s."""

    cases = {
        f"{options}": Case(
            (
                uniform(1, 3, 4, 8, 8, low=-12, high=12),
                uniform(8, 8, low=2, high=5, seed=1),
                uniform(8, 8, low=0.1, high=0.4, seed=2),
            ),
            options,
        )
        for options in ({}, {"window": 5, "levels": 3}, {"dc_prediction": False})
    }
    dtypes = (torch.float32,)
    kernel_tolerance = 3e-5
    empty = None
    meta = compiled = False

    @staticmethod
    def function(z, q, alpha, **settings):
        return entropy_bits([z], [q], [alpha], **settings)

    @staticmethod
    def reference(z, q, alpha, dc_prediction=True, **settings):
        if dc_prediction:
            z = z.copy()
            dc = z[0, ..., 0, 0].ravel()
            z[0, ..., 0, 0] = np.diff(dc, prepend=0).reshape(z.shape[1:3])
        return np.array(references.entropy(z, q, alpha, **settings).sum() * 12)


def test_every_component_counts_its_own_blocks():
    """4:2:0: float64 sums over 24 blocks of luma and 6 of each chroma, steps of each one's own."""
    rng = np.random.default_rng(3)
    shapes = ((4, 6), (2, 3), (2, 3))
    z = [rng.uniform(-12, 12, (1, *shape, 8, 8)) for shape in shapes]
    steps = [rng.uniform(2, 5, (8, 8)) for _ in shapes]
    alphas = [rng.uniform(0.1, 0.4, (8, 8)) for _ in shapes]
    bits = entropy_bits(*([torch.from_numpy(x) for x in each] for each in (z, steps, alphas)))
    total = 0.0
    for plane, q, alpha in zip(z, steps, alphas, strict=True):
        blocks = plane.reshape(-1, 8, 8).copy()
        blocks[:, 0, 0] = np.diff(blocks[:, 0, 0], prepend=0)
        total += len(blocks) * references.entropy(blocks, q, alpha).sum()
    assert bits.item() == pytest.approx(total, rel=1e-6)


def test_dc_prediction_is_the_scans():
    z = torch.randn(2, 3, 4, 8, 8)
    dc = z[1, ..., 0, 0].flatten()
    expected = dc - torch.cat([torch.zeros(1), dc[:-1]])
    assert torch.allclose(predict_dc(z)[1, ..., 0, 0].flatten(), expected)
    assert torch.equal(predict_dc(z)[..., 0, 1:], z[..., 0, 1:])


def test_softer_quantizers_cost_more_and_larger_steps_less():
    z = torch.randn(1, 40, 40, 8, 8, generator=torch.Generator().manual_seed(2)) * 20

    def bits(step, hardness):
        q = torch.full((8, 8), step)
        return entropy_bits([z], [q], [hardness / q**2]).item()

    assert bits(10.0, 4.0) > bits(10.0, 20.0) > bits(10.0, 1e4) > bits(20.0, 1e4) > 0


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("optimize", [True, False])
def test_huffman_bits_are_the_bytes_of_the_scan(subsampling, optimize):
    for photo in imagenet_photos(4, size=(120, 97)):
        for quality in (10, 50, 90):
            data = encode(photo, Preset.from_quality(quality, subsampling), optimize=optimize)
            file = read_coefficients(data)
            bits = scan_bits(
                file.components, size=(120, 97), subsampling=subsampling, optimize=optimize
            )
            start = len(data) - 2 - scan_bytes(data)
            stuffed = data[start:-2].count(b"\xff\x00")
            assert -(-bits // 8) + stuffed == scan_bytes(data)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_entropy_estimate_is_near_real_bytes(subsampling):
    photos = imagenet_photos(12, size=(224, 224))
    pixels = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) for p in photos])
    coefficients = image_to_coefficients(pixels / 255, subsampling, rounding=True)
    for quality in (5, 25, 50, 75, 95):
        luma, chroma = (torch.from_numpy(t).float() for t in quality_tables(quality))
        steps = (luma, chroma, chroma)
        estimate = entropy_bits(coefficients, steps, [1e4 / q**2 for q in steps]).item() / 8
        files = [encode(p, Preset.from_quality(quality, subsampling)) for p in photos]
        real = np.mean([scan_bytes(f) for f in files])
        print(
            f"{subsampling} q {quality}: entropy/bytes of the scan - 1 = {estimate / real - 1:+.1%}"
        )
        assert 0.5 < estimate / real < 1.3


def test_scan_of_pillow_image_without_colour():
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (40, 40), 99).save(buffer, "jpeg", optimize=True)
    file = read_coefficients(buffer.getvalue())
    bits = scan_bits(file.components, size=(40, 40))
    assert -(-bits // 8) == scan_bytes(buffer.getvalue())
