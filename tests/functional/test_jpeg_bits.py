"""The rate model against counted bits, files on disk, sampled files and finite differences."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import references
from helpers.shared_data import cifar, imagenet_photos
from softjpeg import Preset, encode
from softjpeg.functional.cpmf import sample_index
from softjpeg.functional.rate.entropy import entropy_bits
from softjpeg.functional.rate.expected_symbols import expected_symbols
from softjpeg.functional.rate.jpeg_bits import JpegBits, jpeg_bits
from softjpeg.functional.rate.size_distribution import ac_sizes, dc_sizes, differenced
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.entropy.layout import sampling_factors, scan_layout
from softjpeg.jpeg.entropy.scan_bits import scan_bits_batch
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.jpeg.writer import write_coefficients
from softjpeg.learning.band_correction import (
    SHIFT,
    SizedCoefficients,
    frequency_bands,
    rate_factor,
)

HARD = 1e5
LAYOUTS = [
    ("4:4:4", 3, (40, 50)),
    ("4:2:2", 3, (33, 17)),
    ("4:2:0", 3, (33, 50)),
    ("4:2:0", 3, (1, 1)),
    ("4:4:4", 1, (20, 70)),
]


def coefficients(size, subsampling, components=3, batch=2, seed=0, scale=60.0):
    """Some blocks nearly empty, some full: runs over 15 and blocks without EOB occur."""
    g = torch.Generator().manual_seed(seed)
    layout = scan_layout(size, sampling_factors(subsampling, components))
    fall = scale / (1 + torch.arange(64).reshape(8, 8)) ** 0.6
    planes = []
    for rows, columns in layout.shapes:
        energy = 2 * torch.rand(batch, rows, columns, 1, 1, generator=g)
        planes.append(torch.randn(batch, rows, columns, 8, 8, generator=g) * fall * energy)
    return planes


def tables(components=3):
    ramp = torch.linspace(6, 40, 64).reshape(8, 8)
    return [ramp.round(), (ramp * 1.5).round(), (ramp * 1.5).round()][:components]


def alphas(steps, hardness=HARD):
    return [hardness / q**2 for q in steps]


def rounded(z, steps):
    return [torch.round(c / q).int().numpy() for c, q in zip(z, steps, strict=True)]


@pytest.mark.parametrize(("subsampling", "components", "size"), LAYOUTS)
def test_hard_limit_is_the_exact_count(subsampling, components, size):
    z, steps = coefficients(size, subsampling, components), tables(components)
    for c, q in zip(z, steps, strict=True):
        # Away from ties, which the CPMF splits.
        c += 0.2 * (q * torch.round(c / q) - c)
    got = jpeg_bits(z, steps, alphas(steps), size=size, subsampling=subsampling).scan
    expected = scan_bits_batch(rounded(z, steps), size=size, subsampling=subsampling)
    assert got.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


@pytest.mark.parametrize("header", ["jfif", "compact"])
@pytest.mark.parametrize(("subsampling", "components", "size"), LAYOUTS)
def test_hard_limit_is_the_file(subsampling, components, size, header):
    z, steps = coefficients(size, subsampling, components, batch=3), tables(components)
    indices = rounded(z, steps)
    z = [torch.from_numpy(i) * q for i, q in zip(indices, steps, strict=True)]
    bits = jpeg_bits(z, steps, alphas(steps), size=size, subsampling=subsampling, header=header)
    for image in range(3):
        data = write_coefficients(
            [i[image] for i in indices],
            [q.int().numpy() for q in steps],
            size=size,
            subsampling=subsampling,
            header=header,
        )
        scan = data[-2 - scan_bytes(data) : -2]
        stuffed = scan.count(b"\xff\x00")
        assert 8 * (len(data) - len(scan)) == pytest.approx(bits.header[image].item(), abs=0.01)
        assert math.ceil(bits.scan[image] / 8 - 1e-3) == len(scan) - stuffed
        # Stuffing is a matter of chance.
        assert bits.file[image] / 8 == pytest.approx(len(data), abs=3 + stuffed)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_hard_limit_is_what_pillow_writes(subsampling):
    for photo in imagenet_photos(2, size=(104, 120)):
        for quality in (10, 75):
            buffer = io.BytesIO()
            sampling = {"4:4:4": 0, "4:2:0": 2}[subsampling]
            photo.save(buffer, "jpeg", quality=quality, subsampling=sampling, optimize=True)
            data = buffer.getvalue()
            file = read_coefficients(data)
            steps = [torch.from_numpy(np.array(t)).float() for t in file.tables]
            steps = [steps[0], steps[-1], steps[-1]]
            z = [
                torch.from_numpy(i.astype(np.float32))[None] * q
                for i, q in zip(file.components, steps, strict=True)
            ]
            bits = jpeg_bits(z, steps, alphas(steps), size=(104, 120), subsampling=subsampling)
            scan = data[-2 - scan_bytes(data) : -2]
            stuffed = scan.count(b"\xff\x00")
            assert bits.header.item() / 8 == pytest.approx(len(data) - len(scan), abs=0.01)
            assert bits.scan.item() / 8 == pytest.approx(len(scan) - stuffed, abs=1)


def test_expected_symbols_are_the_average_of_drawn_ones():
    """Against a count in plain Python over many draws, every symbol."""
    size, steps = (16, 16), tables(1)
    z = coefficients(size, "4:4:4", 1, batch=1, seed=3, scale=25.0)
    alpha = alphas(steps, 3.0)
    got = expected_symbols(z, steps, alpha, size=size)
    counts, present = np.zeros((2, 256)), np.zeros((2, 256))
    draws, g = 3000, torch.Generator().manual_seed(0)
    many = z[0].expand(draws, *z[0].shape[1:])
    drawn = sample_index(many, steps[0], alpha[0], generator=g).reshape(draws, 4, 64).int().tolist()
    for image in drawn:
        found = np.zeros((2, 256))
        before = 0
        for raster in image:
            block = [raster[k] for k in ZIGZAG]
            found[0, abs(block[0] - before).bit_length()] += 1
            before, run = block[0], 0
            for value in block[1:]:
                if value:
                    found[1, 0xF0] += run // 16
                    found[1, run % 16 << 4 | abs(value).bit_length()] += 1
                run = 0 if value else run + 1
            found[1, 0] += run > 0
        counts += found
        present += found > 0
    frequent = counts.sum(0) > 0
    assert frequent.sum() >= 30
    assert counts[1, 0xF0] > 100
    tolerance = 5 * np.sqrt(counts / draws + 1e-3) / draws**0.5
    assert (np.abs(got.counts[0, 0].numpy() - counts / draws) < tolerance).all()
    # Presence takes the symbols of one block as exclusive.
    presence = -torch.expm1(got.absence[0, 0]).numpy()
    assert np.abs(presence - present / draws).max() < 0.1


@pytest.mark.parametrize("header", ["jfif", "compact"])
def test_drawn_files_have_the_expected_bytes(header):
    """Whole files at a soft hardness, on average over draws."""
    size, preset = (48, 48), Preset.from_quality(60, "4:2:0")
    steps = [torch.from_numpy(t).float() for t in (preset.luma, preset.chroma, preset.chroma)]
    z, alpha = coefficients(size, "4:2:0", batch=1, scale=100.0), alphas(steps, 10.0)
    expected = jpeg_bits(z, steps, alpha, size=size, subsampling="4:2:0", header=header).file / 8
    g, lengths = torch.Generator().manual_seed(0), []
    for _ in range(30):
        drawn = [
            sample_index(c[0], q, a, generator=g).int().numpy()
            for c, q, a in zip(z, steps, alpha, strict=True)
        ]
        data = write_coefficients(
            drawn, [t.int().numpy() for t in steps], size=size, subsampling="4:2:0", header=header
        )
        lengths.append(len(data))
    assert expected.item() == pytest.approx(np.mean(lengths), rel=0.01)


@pytest.mark.parametrize(("subsampling", "size"), [("4:2:0", (17, 30)), ("4:4:4", (16, 16))])
def test_gradient_is_the_finite_difference(subsampling, size):
    """In float64, along a random direction of coefficients, tables and hardness together."""
    z = [c.double() for c in coefficients(size, subsampling, scale=40.0)]
    steps = [q.double() for q in tables()]
    hardness = [torch.full((8, 8), h, dtype=torch.float64) for h in (3.0, 9.0, 30.0)]
    g = torch.Generator().manual_seed(5)
    inputs = [*z, *steps, *hardness]
    ways = [torch.randn(x.shape, generator=g, dtype=x.dtype) * 0.01 * x.abs() for x in inputs]

    def bits(step):
        moved = [x + step * way for x, way in zip(inputs, ways, strict=True)]
        z, q, h = moved[:3], moved[3:6], moved[6:]
        a = [x / t**2 for x, t in zip(h, q, strict=True)]
        return jpeg_bits(z, q, a, size=size, subsampling=subsampling)

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for field in ("scan", "header", "file"):
        (slope,) = torch.autograd.grad(getattr(bits(step), field).sum(), step)
        up, down = (getattr(bits(torch.tensor(t)), field).sum().item() for t in (1e-5, -1e-5))
        assert abs(slope.item()) > 0.1
        assert slope.item() == pytest.approx((up - down) / 2e-5, rel=1e-3)


def test_chunks_change_nothing(monkeypatch):
    z, steps = coefficients((40, 50), "4:2:0", batch=3), tables()

    def results():
        leaves = [q.clone().requires_grad_() for q in steps]
        a = [10 / q**2 for q in leaves]
        bits = jpeg_bits(z, leaves, a, size=(40, 50), subsampling="4:2:0").file
        return bits.detach(), *torch.autograd.grad(bits.sum(), leaves)

    whole = results()
    monkeypatch.setattr("softjpeg.functional.rate.expected_symbols._CHUNK_BLOCKS", {"cpu": 7})
    for a, b in zip(whole, results(), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-2)


def real_slopes(z, steps, size, subsampling, masks):
    """Per mask the difference of counted bits when its steps move together, per log q."""
    found = []
    for mask in masks:
        bits = [
            scan_bits_batch(
                rounded(z, [q * torch.exp(s * m) for q, m in zip(steps, mask, strict=True)]),
                size=size,
                subsampling=subsampling,
            ).mean()
            for s in (SHIFT, -SHIFT)
        ]
        found.append((bits[0] - bits[1]) / (2 * SHIFT))
    return np.array(found)


def model_slopes(z, steps, size, subsampling):
    leaves = [q.clone().requires_grad_() for q in steps]
    bits = jpeg_bits(
        z, leaves, alphas(steps), size=size, subsampling=subsampling, shift=SHIFT
    ).scan.mean()
    slopes = torch.autograd.grad(bits, leaves)
    return torch.stack([s * q for s, q in zip(slopes, steps, strict=True)])


def single_frequencies(*places):
    masks = torch.zeros(len(places), 3, 8, 8)
    for mask, place in zip(masks, places, strict=True):
        mask[place] = 1
    return masks


CIFAR_LUMA = [
    [73, 57, 48, 41, 31, 29, 24, 31],
    [63, 52, 50, 38, 30, 31, 29, 33],
    [52, 46, 40, 36, 31, 26, 31, 40],
    [43, 38, 41, 33, 26, 27, 30, 63],
    [36, 36, 31, 30, 26, 31, 31, 69],
    [26, 25, 29, 25, 29, 29, 55, 255],
    [24, 24, 26, 27, 31, 55, 36, 255],
    [22, 33, 31, 255, 50, 255, 255, 255],
]


@pytest.mark.parametrize("case", ["cifar", "photos"])
def test_slopes_are_those_of_counted_bits(case):
    """What bit allocation needs: one backward pass instead of many counts."""
    if case == "cifar":
        # Learned for ResNet-20.
        pixels, subsampling = cifar(64), "4:4:4"
        luma, chroma = torch.tensor(CIFAR_LUMA).float(), torch.full((8, 8), 90.0)
    else:
        photos = imagenet_photos(6, size=(160, 160))
        pixels = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) for p in photos])
        subsampling, preset = "4:2:0", Preset.from_quality(30)
        luma, chroma = (torch.from_numpy(t).float() for t in (preset.luma, preset.chroma))
    size, steps = tuple(pixels.shape[-2:]), [luma, chroma, chroma]
    z = image_to_coefficients(pixels / 255, subsampling, rounding=True)
    slopes = model_slopes(z, steps, size, subsampling)
    bands = frequency_bands()
    real = real_slopes(z, steps, size, subsampling, bands)
    ours = (bands * slopes).sum((1, 2, 3)).numpy()
    assert ours == pytest.approx(real, rel=0.05, abs=0.005 * np.abs(real).sum())
    # The frequencies of one band differ: a factor for the whole band misses that.
    single = single_frequencies((0, 0, 5), (0, 5, 0), (0, 3, 3), (0, 0, 1), (1, 1, 0))
    real = real_slopes(z, steps, size, subsampling, single)
    ours = (single * slopes).sum((1, 2, 3)).numpy()
    assert ours == pytest.approx(real, rel=0.08, abs=0.005 * np.abs(real).sum())


def test_rate_factor_finds_what_entropy_misses():
    """Bits moved by the factor × entropy slope are the counted ones, frequency by frequency."""
    size, steps = (64, 64), tables()
    z = coefficients(size, "4:4:4", batch=6)
    factor = rate_factor([SizedCoefficients(z, size)], (steps[0], steps[1]), "4:4:4")
    single = single_frequencies((0, 0, 1), (0, 2, 2), (0, 6, 5), (1, 0, 3))
    real = real_slopes(z, steps, size, "4:4:4", single)
    entropy = []
    for mask in single:
        up, down = (
            entropy_bits(z, moved, alphas(moved)).item()
            for moved in (
                [q * torch.exp(s * m) for q, m in zip(steps, mask, strict=True)]
                for s in (SHIFT, -SHIFT)
            )
        )
        entropy.append((up - down) / (2 * SHIFT))
    ratio = real / np.array(entropy)
    assert np.abs(np.log(ratio)).max() > 0.1
    got = (single * factor).sum((1, 2, 3)).numpy()
    assert got == pytest.approx(ratio.clip(0.5, 2), rel=0.06)


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_estimate_of_whole_files_of_photos(mode):
    real, guess = [], []
    photos = imagenet_photos(3, size=(224, 224))
    pixels = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) for p in photos])
    for subsampling, qualities in (("4:4:4", (5, 50)), ("4:2:0", (25, 95))):
        z = image_to_coefficients(pixels / 255, subsampling, rounding=True)
        for quality in qualities:
            preset = Preset.from_quality(quality, subsampling)
            steps = [torch.from_numpy(t).float() for t in (preset.luma, *[preset.chroma] * 2)]
            hardness = HARD if mode == "hard" else float(preset.hardness.flat[0])
            with torch.no_grad():
                bits = jpeg_bits(
                    z, steps, alphas(steps, hardness), size=(224, 224), subsampling=subsampling
                )
            real += [len(encode(p, preset, mode, seed=0)) for p in photos]
            guess += (bits.file / 8).tolist()
    real, guess = np.array(real), np.array(guess)
    assert np.abs(guess / real - 1).mean() < 0.01
    assert 1 - ((guess - real) ** 2).sum() / ((real - real.mean()) ** 2).sum() > 0.999


def test_bad_input_is_named():
    z, steps = coefficients((16, 16), "4:4:4"), tables()
    cases = {
        "coefficients must have 1 or 3 components, got 2": (z[:2], steps[:2], {}),
        "tables must be one per component, got 2": (z, steps[:2], {}),
        r"coefficients\[0\] must have shape \(B, 3, 2, 8, 8\)": (z, steps, {"size": (24, 16)}),
        "header must be one of jfif, compact, got 'short'": (z, steps, {"header": "short"}),
    }
    for message, (planes, given, options) in cases.items():
        with pytest.raises(ValueError, match=message):
            jpeg_bits(planes, given, alphas(steps), **{"size": (16, 16)} | options)


def test_flat_image_is_the_smallest_file():
    buffer = io.BytesIO()
    Image.new("L", (40, 40), 128).save(buffer, "jpeg", optimize=True)
    z, q = torch.zeros(1, 5, 5, 8, 8), torch.full((8, 8), 16.0)
    bits = jpeg_bits([z], [q], [HARD / q**2], size=(40, 40))
    assert bits.scan.item() == 50
    assert bits.file.item() / 8 == pytest.approx(len(buffer.getvalue()), abs=1)


@pytest.mark.parametrize("sizes", [ac_sizes, dc_sizes])
def test_differenced_slope_holds_the_hardness(sizes):
    z = torch.tensor([[[14.0], [-3.0], [55.0]]])
    q = torch.tensor([10.0], requires_grad=True)
    weights = torch.arange(1.0, 1 + sizes(z, q, 4 / q**2).shape[-1])

    def cost(step):
        return (sizes(z, step, 4 / step**2) * weights).sum()

    value = (differenced(sizes, 0.1)(z, q, 4 / q.detach() ** 2) * weights).sum()
    value.backward()
    with torch.no_grad():
        expected = (cost(q * math.exp(0.1)) - cost(q * math.exp(-0.1))) / 0.2 / q
        assert value.item() == pytest.approx(cost(q).item())
    assert abs(q.grad.item()) > 0.01
    assert q.grad.item() == pytest.approx(expected.item(), rel=1e-4)


def test_files_count_padding_and_stuffing():
    """3.5 bits to the next whole byte, on average, then 3 bytes stuffed for every 1000."""
    bits = JpegBits(torch.tensor([0.0, 80_000.0]), torch.tensor([1000.0, 2000.0]))
    wanted = [1000 + 3.5 * 1.003, 2000 + 80_003.5 * 1.003]
    assert bits.file.tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("hardness", [0.05, 0.4, 2.0, 50.0])
def test_sizes_have_the_cpmfs_probabilities_at_any_hardness(hardness):
    """Over all indices of a wide range; the softest quantizer spreads over dozens of them."""
    z = np.array([0.0, 3.0, -37.0, 130.0, 14.9])
    q = np.full(5, 10.0)
    index, p = references.probabilities(z, q, hardness / q**2)
    size = np.frexp(np.abs(index).astype(float))[1]
    wanted = np.stack([(p * (size == s)).sum(-1) for s in range(11)], -1)
    tensors = [torch.from_numpy(x) for x in (z, q, hardness / q**2)]
    assert np.allclose(ac_sizes(*tensors).numpy(), wanted, atol=2e-4)
    # A DC difference: of two independent draws, the first from 0.
    found = dc_sizes(tensors[0][None, :, None], tensors[1][:1], tensors[2][:1])[0, :, 0].numpy()
    for k in range(5):
        before, weight = (index[k - 1], p[k - 1]) if k else (np.zeros(1), np.ones(1))
        size = np.frexp(np.abs(index[k][:, None] - before).astype(float))[1]
        joint = p[k][:, None] * weight
        wanted = [(joint * (size == s)).sum() for s in range(12)]
        assert np.allclose(found[k], wanted, atol=5e-4)
