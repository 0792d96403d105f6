"""`encode` and `decode`: real files, read back by Pillow and by our reader."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg import Preset, decode, encode, read_coefficients
from softjpeg.tables import read_tables
from softjpeg.transform import image_to_coefficients


def picture(height=45, width=62, seed=0):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def custom(subsampling="4:2:0", hardness=30.0):
    rng = np.random.default_rng(1)
    luma, chroma = rng.integers(5, 60, (2, 8, 8))
    return Preset(luma, chroma, np.full((2, 8, 8), hardness), subsampling)


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_files_hold_the_presets_tables_and_subsampling(mode, subsampling):
    preset = custom(subsampling)
    data = encode(picture(), preset, mode, seed=0)
    luma, chroma = read_tables(data)
    assert np.array_equal(luma, preset.luma)
    assert np.array_equal(chroma, preset.chroma)
    file = read_coefficients(data)
    assert file.subsampling == subsampling
    assert file.size == (45, 62)
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.size == (62, 45)
        difference = np.asarray(shown).astype(float) - np.asarray(picture())
    assert np.abs(difference).mean() < 8


def test_very_sharp_sampling_is_hard_rounding():
    preset = custom(hardness=1e6)
    hard = read_coefficients(encode(picture(), preset))
    sampled = read_coefficients(encode(picture(), preset, "probabilistic", seed=0))
    for a, b in zip(hard.components, sampled.components, strict=True):
        # libjpeg's integer DCT tips a few ties the other way.
        assert (a != b).mean() < 0.01
        assert np.abs(a - b).max() <= 1


def test_samples_follow_the_cpmf():
    preset = custom(hardness=2.0)
    x = torch.from_numpy(np.array(picture(32, 32))).permute(2, 0, 1)
    z = image_to_coefficients(x / 255, "4:2:0", rounding=True)[0][2, 3].double().numpy()
    alpha = 2.0 / preset.luma**2
    draws = np.stack(
        [
            read_coefficients(encode(x, preset, "probabilistic", seed=s)).components[0][2, 3]
            for s in range(100)
        ]
    )
    indices = np.arange(-60, 61)[:, None, None]
    weights = np.exp(-alpha * (z - indices * preset.luma) ** 2)
    weights /= weights.sum(0)
    mean = (weights * indices).sum(0)
    deviation = np.sqrt((weights * indices**2).sum(0) - mean**2)
    assert (np.abs(draws.mean(0) - mean) <= 5 * deviation / 10 + 1e-3).all()


def test_a_seed_gives_the_same_bytes_and_another_others():
    preset = custom(hardness=5.0)
    first, again, other = (encode(picture(), preset, "probabilistic", seed=s) for s in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_image_types(mode):
    pixels = np.array(picture())
    preset = custom()
    expected = encode(Image.fromarray(pixels), preset, mode, seed=1)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    assert encode(pixels, preset, mode, seed=1) == expected
    assert encode(tensor, preset, mode, seed=1) == expected
    assert encode(tensor.float() / 255, preset, mode, seed=1) == expected
    gray = encode(tensor[:1], preset, mode, seed=1)
    assert decode(gray).shape == (1, 45, 62)
    assert len(read_coefficients(gray).components) == 1


def test_decode_is_pillows():
    data = encode(picture(), custom())
    with Image.open(io.BytesIO(data)) as shown:
        assert np.array_equal(decode(data).permute(1, 2, 0).numpy(), np.asarray(shown))


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 3)])
def test_any_size(mode, size):
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        data = encode(picture(*size), custom(subsampling), mode, seed=0)
        assert tuple(decode(data).shape) == (3, *size)


def test_optimized_huffman_is_smaller():
    preset = custom()
    for mode in ("hard", "probabilistic"):
        optimized, standard = (
            encode(picture(), preset, mode, seed=0, optimize=o) for o in (True, False)
        )
        assert len(optimized) < len(standard)
        assert torch.equal(decode(optimized), decode(standard))


def test_files_of_more_than_two_bytes_a_pixel():
    """Pillow alone cannot optimize these: its buffer is too small."""
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    preset = Preset(np.ones((8, 8)), np.ones((8, 8)), subsampling="4:4:4")
    data = encode(noise, preset)
    assert len(data) > 2 * 256 * 256
    assert np.abs(decode(data).permute(1, 2, 0).numpy().astype(int) - noise).max() <= 4
    assert len(data) < len(encode(noise, preset, optimize=False))


def test_sixteen_bit_gray_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    shown = decode(encode(Image.fromarray(ramp), custom()))[0].numpy()
    assert np.abs(shown - (ramp >> 8).astype(float)).mean() < 8


def test_refusals():
    preset = custom()
    with pytest.raises(ValueError, match="mode must be one of hard, probabilistic, got 'soft'"):
        encode(picture(), preset, "soft")
    with pytest.raises(ValueError, match=r"image must have shape .* got \(4, 8, 8\)"):
        encode(torch.zeros(4, 8, 8), preset)
    with pytest.raises(ValueError, match=r"image must be in \[0, 1\], got values from 0.0 to 255"):
        encode(torch.full((3, 8, 8), 255.0) * torch.eye(8), preset)
    with pytest.raises(ValueError, match="uint8 or float"):
        encode(np.zeros((8, 8, 3), dtype=np.int32), preset)
    with pytest.raises(ValueError, match="data cannot be decoded"):
        decode(b"not a jpeg")
