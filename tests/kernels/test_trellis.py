"""The C kernels of trellis and sampling, against the NumPy and PyTorch they stand in for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg import Preset, encode, read_coefficients
from softjpeg.codec.image import encode_coefficients
from softjpeg.codec.probabilistic import sample_indices, uniform
from softjpeg.codec.trellis import decide_blocks
from softjpeg.corpus.folders import encode_files
from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, code_lengths
from softjpeg.kernels.cpu import trellis as trellis_kernel
from softjpeg.kernels.library import is_available
from softjpeg.presets.distortion_model import DistortionModel

built = pytest.mark.skipif(not is_available("_decisions"), reason="the C kernels were not built")
LENGTHS = torch.from_numpy(code_lengths(STANDARD_TABLES[1]))


@pytest.fixture
def both_ways(monkeypatch):
    """Calls a function with the kernels and without them."""

    def both(function):
        monkeypatch.setenv("SOFTJPEG_KERNELS", "1")
        fast = function()
        monkeypatch.setenv("SOFTJPEG_KERNELS", "0")
        return fast, function()

    return both


def like_a_photo(seed, blocks, scale=60.0):
    """Coefficients that fall off with frequency, as a photo's do."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:8, :8]
    falling = scale / (1 + row + column) ** 1.5 * rng.exponential(1, (blocks, 1, 1))
    return torch.from_numpy((rng.laplace(size=(blocks, 8, 8)) * falling).astype(np.float32))


@built
@pytest.mark.parametrize("rate_weight", [0.0, 0.05, 3.0, 1e4])
@pytest.mark.parametrize("scale", [20.0, 400.0, 3000.0, 1e6])
def test_trellis_is_numpys(both_ways, rate_weight, scale):
    rng = np.random.default_rng(7)
    z = like_a_photo(1, 300, scale)
    some = LENGTHS.clone()
    some[torch.from_numpy(rng.permutation(256)[:128])] = 0  # Symbols without a code.
    weights = torch.from_numpy(rng.uniform(0, 2, (300, 8, 8)))
    for q in (torch.ones(8, 8), torch.from_numpy(rng.integers(2, 255, (8, 8)))):
        for lengths in (LENGTHS, some):
            for options in ({}, {"block_weights": torch.from_numpy(rng.uniform(0, 3, 300))}):
                for weight in (weights, weights[0]):
                    fast, slow = both_ways(
                        lambda q=q, w=weight, n=lengths, o=options: decide_blocks(
                            z, q, w, rate_weight, n, **o
                        )
                    )
                    assert fast.dtype == slow.dtype == torch.int16
                    assert torch.equal(fast, slow)


@built
def test_trellis_of_blocks_full_and_empty(both_ways):
    full = torch.from_numpy(np.random.default_rng(0).normal(0, 300, (40, 8, 8)).astype(np.float32))
    last = torch.zeros(40, 8, 8)
    last[:, 7, 7] = torch.linspace(-40, 40, 40)
    for z in (full, torch.zeros(5, 8, 8), last, torch.zeros(0, 8, 8)):
        fast, slow = both_ways(
            lambda z=z: decide_blocks(z, torch.full((8, 8), 9.0), torch.ones(8, 8), 4.0, LENGTHS)
        )
        assert torch.equal(fast, slow)


@built
def test_trellis_counts_a_blocks_own_weight_once():
    z, q = like_a_photo(2, 50), torch.full((8, 8), 12.0)
    table, factors = torch.rand(8, 8) + 0.5, torch.rand(50) * 4
    whole = decide_blocks(z, q, table.double() * factors.double()[:, None, None], 9.0, LENGTHS)
    apart = decide_blocks(z, q, table, 9.0, LENGTHS, block_weights=factors)
    assert torch.equal(whole, apart)
    assert not torch.equal(apart, decide_blocks(z, q, table, 9.0, LENGTHS))


@built
def test_trellis_refuses_other_shapes():
    good = {
        "z": np.zeros((3, 64), np.float32),
        "steps": np.ones(64),
        "weights": np.ones((1, 64)),
        "block_weights": None,
        "costs": np.ones((12, 63)),
    }
    assert trellis_kernel.decide_blocks(**good, end_cost=1.0).shape == (3, 64)
    for name, bad in (
        ("z", np.zeros((3, 63))),
        ("steps", np.ones((1, 64))),
        ("weights", np.ones((2, 64))),
        ("block_weights", np.ones(2)),
        ("costs", np.ones((63, 12))),
    ):
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            trellis_kernel.decide_blocks(**{**good, name: bad}, end_cost=1.0)


def test_uniform_numbers_are_splitmix64s():
    # The first five numbers of the seed 1234567, from the reference implementation.
    wanted = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    drawn = uniform(3, 1234567)
    assert (drawn[0, :5] * 2**24).tolist() == [(x % 2**32 >> 8) + 1 for x in wanted]
    assert (drawn[0, 32:37] * 2**24).tolist() == [(x >> 40) + 1 for x in wanted]
    assert np.array_equal(uniform(2, 1234567, first=1), drawn[1:])
    many = uniform(5000, 3)
    assert many.min() > 0
    assert many.max() <= 1
    assert abs(many.mean() - 0.5) < 0.003
    assert abs(np.corrcoef(many[:, :32].ravel(), many[:, 32:].ravel())[0, 1]) < 0.01


def sampled(hardness, tables=None, blocks=600, scale=100.0):
    luma, chroma = tables or (np.arange(1, 65).reshape(8, 8), np.full((8, 8), 255))
    preset = Preset(luma, chroma, np.broadcast_to(hardness, (2, 8, 8)))
    planes = [like_a_photo(seed, blocks, scale).reshape(1, -1, 8, 8) for seed in range(3)]
    return sample_indices(planes, preset, seed=5), planes, preset


@built
@pytest.mark.parametrize("hardness", [1e-3, 0.08, 0.3, 2.0, 10.0, 60.0, 1e4, 1e9])
def test_draws_are_pytorchs(both_ways, hardness):
    blocks = 600 if hardness > 0.01 else 20  # As many terms as the fallback has memory for.
    fast, slow = both_ways(lambda: sampled(hardness, blocks=blocks)[0])
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype == b.dtype == torch.int16
        # A draw at the very edge of a probability may round either way.
        assert int((a != b).sum()) <= 1
        assert int((a - b).abs().max()) <= 1


@built
def test_draws_of_a_table_of_hardnesses(both_ways):
    hardness = np.geomspace(0.2, 1e5, 128).reshape(2, 8, 8)
    fast, slow = both_ways(lambda: sampled(hardness)[0])
    assert sum(int((a != b).sum()) for a, b in zip(fast, slow, strict=True)) <= 1


def test_very_hard_draws_are_rounding():
    drawn, planes, preset = sampled(1e7, scale=20.0)
    tables = (preset.luma, preset.chroma, preset.chroma)
    for indices, z, table in zip(drawn, planes, tables, strict=True):
        ratio = z.double() / torch.from_numpy(table)
        assert ((indices - ratio).abs() <= 0.5001).all()


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_draws_stay_in_range(monkeypatch, kernels):
    monkeypatch.setenv("SOFTJPEG_KERNELS", kernels)
    ones = np.ones((8, 8))
    (luma, *_), _, _ = sampled(5.0, (ones, ones), blocks=50, scale=1e6)
    flat = luma.reshape(-1, 64)
    assert (flat[:, 0].min(), flat[:, 0].max()) == (-1024, 1023)
    assert (flat[:, 1:].min(), flat[:, 1:].max()) == (-1023, 1023)


def test_components_and_blocks_draw_numbers_of_their_own():
    preset = Preset(np.full((8, 8), 16), np.full((8, 8), 16), np.full((2, 8, 8), 1.0))
    planes = [torch.full((4, 5, 8, 8), 8.0) for _ in range(3)]
    drawn = torch.stack(sample_indices(planes, preset, seed=0)).reshape(-1, 64).float()
    assert len(drawn.unique(dim=0)) == len(drawn)
    assert abs(float(drawn.mean()) - 0.5) < 0.05
    # A gray image's draws are those of the luma.
    assert torch.equal(
        sample_indices(planes[:1], preset, seed=0)[0].float(), drawn[:20].reshape(4, 5, 8, 8)
    )
    assert torch.equal(*(sample_indices(planes[:1], preset, seed=s)[0] for s in (-1, 2**64 - 1)))


def picture(seed=0, size=(61, 45)):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def preset_of(subsampling):
    preset = Preset.from_quality(70, subsampling)
    tables = np.stack([preset.luma, preset.chroma, preset.chroma]).astype(float)
    masking = np.array([[0.0, 8.0, 16.0], [2.0, 1.0, 0.5]])
    minds = DistortionModel(tables**-2, np.full((3, 8, 8), 0.3), np.ones((2, 2)), masking, 0.06)
    return dataclasses.replace(preset, distortion=minds, hardness=np.full((2, 8, 8), 8.0))


@built
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("mode", ["probabilistic", "rdo"])
def test_files_hold_the_same_indices_without_kernels(both_ways, mode, subsampling):
    preset = preset_of(subsampling)
    for image in (picture(), picture(1).convert("L")):
        files = both_ways(lambda image=image: encode(image, preset, mode, seed=3))
        fast, slow = (read_coefficients(file).components for file in files)
        for a, b in zip(fast, slow, strict=True):
            # The transform may round a tie either way.
            assert (a != b).mean() < 2e-3


@built
@pytest.mark.parametrize("mode", ["hard", "probabilistic", "rdo"])
def test_files_do_not_depend_on_jobs(tmp_path, mode):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(5):
        picture(number, (40 + number, 30)).save(images / f"{number}.png")
    made = []
    for run, jobs in enumerate((1, 3, 3)):
        out = tmp_path / f"out{run}"
        summary = encode_files(images, preset_of("4:2:0"), out, mode=mode, seed=1, jobs=jobs)
        assert summary.written == 5
        made.append([(out / f"{number}.jpg").read_bytes() for number in range(5)])
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("gray", [False, True])
def test_standard_tables_are_written_by_either_writer_alike(subsampling, gray):
    preset = preset_of(subsampling)
    for optimize in (False, True):
        data = encode(picture(), preset, optimize=optimize, gray=gray)
        planes = read_coefficients(data).components
        ours = encode_coefficients(planes, preset, size=(45, 61), optimize=optimize)
        assert data == ours
