"""Trellis, distortion model and mode "rdo", against exhaustive search, float64 sums and Pillow."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json

import numpy as np
import pytest
import torch
from PIL import Image

from softjpeg import Ladder, Preset, decode, encode, learn, read_coefficients
from softjpeg.codec.rdo import compensated, rdo_indices, rounded
from softjpeg.codec.trellis import decide_blocks, run_size_bits
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, code_lengths
from softjpeg.jpeg.entropy.scan_bits import scan_bits
from softjpeg.jpeg.markers import scan_bytes
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.learning.gradient_moments import distortion_from, gradient_moments
from softjpeg.presets.distortion_model import DistortionModel

LENGTHS = torch.from_numpy(code_lengths(STANDARD_TABLES[1]))
ONE = np.ones((3, 8, 8))


def model(rate_weight: float = 0.0, **changes: object) -> DistortionModel:
    plain = DistortionModel(ONE, 0 * ONE, np.ones((1, 1)), np.array([[0.0], [1.0]]), rate_weight)
    return dataclasses.replace(plain, **changes)


def counted_bits(indices: np.ndarray) -> int:
    """Bits of a block's AC coefficients, symbol by symbol as T.81 F.1.2.2 sends them."""
    bits = run = 0
    for value in indices[ZIGZAG][1:]:
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits += int(LENGTHS[0xF0])
            run -= 16
        size = int(abs(value)).bit_length()
        bits += int(LENGTHS[run << 4 | size]) + size
        run = 0
    return bits + (int(LENGTHS[0]) if run else 0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rate_weight", [0.0, 2.0, 15.0])
def test_trellis_is_the_best_of_all_choices(seed: int, rate_weight: float) -> None:
    rng = np.random.default_rng(seed)
    q = rng.uniform(4, 12, 64)
    weights = rng.uniform(0.2, 2, 64)
    z = rng.uniform(-0.45, 0.45, 64) * q
    # Places near, 16 and more zeros apart, and the last of all.
    live = ZIGZAG[[1, 2, 5, 23, 24, 45, 63]]
    z[live] = rng.uniform(-2.6, 2.6, len(live)) * q[live]
    z = z.astype(np.float32).astype(np.float64)
    tensors = [torch.from_numpy(x.reshape(8, 8)) for x in (z, q, weights)]
    found = decide_blocks(tensors[0][None], tensors[1], tensors[2], rate_weight, LENGTHS)
    found = found.numpy().reshape(64)

    def cost(indices: np.ndarray) -> float:
        error = (weights * (z - indices * q) ** 2)[1:].sum() - 0.0
        dc = weights[0] * 0
        return error + dc + rate_weight * counted_bits(indices)

    nearest = np.round(z / q)
    options = []
    for place in live:
        k = nearest[place]
        options.append(sorted({0.0, k, k - np.sign(k)}))
    best = np.inf
    for choice in itertools.product(*options):
        indices = np.zeros(64)
        indices[live] = choice
        best = min(best, cost(indices.astype(int)))
    assert cost(found) == pytest.approx(best, rel=1e-12)
    assert found[0] == nearest[0]


def test_no_rate_weight_is_plain_rounding() -> None:
    z = torch.randn(50, 8, 8) * 30
    q = torch.rand(8, 8) * 20 + 3
    indices = decide_blocks(z, q, torch.ones(8, 8), 0.0, LENGTHS)
    assert torch.equal(indices, torch.round(z / q).short())


def test_weights_of_single_blocks() -> None:
    z = torch.zeros(2, 8, 8)
    z[:, 5, 5] = 7.0
    weights = torch.stack([torch.full((8, 8), 0.01), torch.full((8, 8), 100.0)])
    indices = decide_blocks(z, torch.full((8, 8), 10.0), weights, 1.0, LENGTHS)
    assert indices[:, 5, 5].tolist() == [0, 1]


def test_bits_of_symbols_without_a_code_are_many() -> None:
    bits = run_size_bits(torch.zeros(256))
    assert bits.shape == (63, 12)
    assert float(bits.min()) >= 16


def photo() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    planes = [128 + 90 * torch.sin(x / (3 + c)) * torch.cos(y / (5 - c)) for c in range(3)]
    noise = torch.randn(3, 48, 64, generator=torch.Generator().manual_seed(0)) * 12
    return (torch.stack(planes) + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_files_are_jpeg_and_smaller(subsampling: str) -> None:
    image, preset = photo(), Preset.from_quality(60, subsampling)
    rounded = encode(image, dataclasses.replace(preset, distortion=model()), "rdo")
    hard = encode(image, preset)
    assert abs(len(rounded) - len(hard)) <= 0.02 * len(hard)  # Another DCT rounds some ties.
    sizes = []
    for rate_weight in (20.0, 100.0):
        full = dataclasses.replace(preset, distortion=model(rate_weight))
        data = encode(image, full, "rdo")
        sizes.append(scan_bytes(data))
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.size == (64, 48)
            assert opened.quantization[0] == preset.luma.flatten().tolist()
        z = image_to_coefficients(image / 255, subsampling, rounding=True)
        wanted = rdo_indices(z, full, size=(48, 64))
        for found, indices in zip(read_coefficients(data).components, wanted, strict=True):
            assert np.array_equal(found, indices.numpy())
    assert sizes[1] < sizes[0] < scan_bytes(hard)


def test_gray_is_the_luma_of_a_colour_file_without_colour() -> None:
    preset = dataclasses.replace(Preset.from_quality(40, "4:4:4"), distortion=model(30.0))
    data = encode(photo()[:1], preset, "rdo")
    assert decode(data).shape == (1, 48, 64)
    (alone,) = read_coefficients(data).components
    beside, *chroma = read_coefficients(
        encode(photo()[:1].expand(3, 48, 64), preset, "rdo")
    ).components
    assert np.array_equal(alone, beside)
    assert not any(plane.any() for plane in chroma)
    assert len(data) < len(encode(photo()[:1], preset))


@pytest.mark.parametrize("masked", [1.0, 4.0])
def test_decisions_are_those_of_a_calculation_by_hand(masked: float) -> None:
    """A lone ±1 is worth ``½ w s (2zq - q²)``; it is kept where its code and sign cost less.

    Luma sends 0x01 three times as often as EOB: codes of one bit and two. Chroma sends EOB oftener,
    so its 0x01 has two bits.
    """
    z = [torch.zeros(6, 10, 8, 8) for _ in range(3)]
    flat = [plane.reshape(6, 10, 64) for plane in z]
    tested = torch.linspace(6.0, 13.9, 60).reshape(6, 10)
    for place in (1, 2, 3):
        flat[0][..., ZIGZAG[place]] = 14.0
    flat[0][..., ZIGZAG[4]] = tested
    for plane in flat[1:]:
        plane[:4, :, ZIGZAG[1]] = -tested[:4]
        plane[:4, 5:, ZIGZAG[1]] = tested[2:, 5:]
    ten = np.full((8, 8), 10)
    sensitivity = np.array([0.08, 0.08, 0.16])[:, None, None] * np.ones((3, 8, 8)) / masked
    form = model(1.0, sensitivity=sensitivity, masking=np.array([[0.0], [masked]]))
    preset = Preset(ten, ten, subsampling="4:4:4", distortion=form)
    found = rdo_indices(z, preset, size=(48, 80))
    # 0.04 (20 z - 100) = 1 + 1, then = 2 + 1; Cr counts twice.
    for plane, indices, place, least in zip(
        flat, found, (4, 1, 1), (7.5, 8.75, 6.875), strict=True
    ):
        values = plane[..., ZIGZAG[place]]
        kept = torch.where(values.abs() > least, values.sign(), 0)
        assert 3 < int(kept.count_nonzero()) < int(values.count_nonzero()) - 3
        assert torch.equal(indices.reshape(6, 10, 64)[..., ZIGZAG[place]], kept.short())
    assert (found[0].reshape(6, 10, 64)[..., ZIGZAG[1:4]] == 1).all()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_a_file_costs_less_than_those_of_other_prices(subsampling: str) -> None:
    """``½ Σ s e² + λ·bits`` is least where the file was made for this λ; bits are the scan's."""
    rng = np.random.default_rng(1)
    sensitivity = rng.uniform(0.3, 3, (3, 8, 8))
    prices = (5.0, 20.0, 80.0, 320.0)
    image, preset = photo(), Preset.from_quality(60, subsampling)
    z = [
        c[0].double().numpy()
        for c in image_to_coefficients(image[None] / 255, subsampling, rounding=True)
    ]
    tables = (preset.luma, preset.chroma, preset.chroma)
    errors, bits = [], []
    for price in (0.0, *prices):
        form = model(price, sensitivity=sensitivity)
        data = encode(image, dataclasses.replace(preset, distortion=form), "rdo")
        found = read_coefficients(data).components
        errors.append(
            0.5
            * sum(
                float((s * (c - k * q) ** 2).sum())
                for s, c, k, q in zip(sensitivity, z, found, tables, strict=True)
            )
        )
        bits.append(scan_bits(found, size=(48, 64), subsampling=subsampling))
    for i, price in enumerate(prices, 1):
        costs = [error + price * b for error, b in zip(errors, bits, strict=True)]
        assert min(costs) == costs[i]
    assert bits == sorted(bits, reverse=True)


def test_rounding_stays_within_baseline() -> None:
    z = torch.tensor([5000.0, -5000.0])[:, None, None].expand(2, 8, 8)
    indices = rounded([torch.ones(8, 8)])(0, z).flatten(1)
    assert indices.dtype == torch.int16
    assert indices[:, 0].tolist() == [1023, -1024]
    assert (indices[0, 1:] == 1023).all()
    assert (indices[1, 1:] == -1023).all()


def test_rdo_needs_a_distortion() -> None:
    with pytest.raises(ValueError, match="no distortion"):
        encode(photo(), Preset.from_quality(40), "rdo")


def test_compensation_minimizes_the_quadratic_form() -> None:
    """Of what is still free, no other value does better: checked by float64 differences."""
    rng = np.random.default_rng(3)
    sensitivity = rng.uniform(0.5, 2, (3, 8, 8))
    correlation = rng.uniform(-0.5, 0.5, (3, 8, 8))
    form = model(sensitivity=sensitivity, correlation=correlation)
    deviation = np.sqrt(sensitivity)
    matrix = np.zeros((8, 8, 3, 3))
    for c in range(3):
        matrix[..., c, c] = sensitivity[c]
    for rho, (a, b) in zip(correlation, ((0, 1), (0, 2), (1, 2)), strict=True):
        matrix[..., a, b] = matrix[..., b, a] = rho * deviation[a] * deviation[b]

    def value(errors: np.ndarray) -> np.ndarray:
        return np.einsum("cij,ijcd,dij->ij", errors, matrix, errors)

    cr_for_cb, y_for_cb, y_for_cr = form.corrections()
    cb = rng.normal(size=(8, 8))
    cr_error = -cr_for_cb * cb  # z_Cr + correction is kept exactly: its own error is the shift.

    def best_y(cb_error: np.ndarray, cr_error: np.ndarray) -> np.ndarray:
        return -(y_for_cb * cb_error + y_for_cr * cr_error)

    errors = np.stack([best_y(cb, cr_error), cb, cr_error])
    least = value(errors)
    assert np.allclose(least, form.conditional()[1] * cb**2)
    for step in (-1e-3, 1e-3):
        moved = errors.copy()
        moved[0] += step
        assert (value(moved) > least).all()
        other = cr_error + step
        assert (value(np.stack([best_y(cb, other), cb, other])) > least).all()


def test_compensated_uses_the_corrections() -> None:
    correlation = np.zeros((3, 8, 8))
    correlation[0] = 0.9
    form = model(correlation=correlation)
    z = [torch.full((1, 1, 8, 8), v) for v in (10.0, 4.0, 0.0)]
    steps = [torch.full((8, 8), q) for q in (1.0, 100.0, 100.0)]
    corrections = [torch.from_numpy(c).float() for c in form.corrections()]
    indices = compensated(z, steps, corrections, lambda c, x: torch.round(x / steps[c]).long())
    # Cb becomes 0, an error of 4, and luma takes 0.9 of it.
    assert indices[1].unique().tolist() == [0]
    assert indices[0].unique().tolist() == [14]


def test_block_weights_follow_place_and_contrast() -> None:
    position = np.array([[1.0, 3.0]])
    masking = np.array([[0.0, 10.0], [2.0, 1.0]])
    luma = np.zeros((4, 4, 8, 8))
    luma[0, 0, 3, 3] = 32.0  # 2^10
    luma[:, :, 0, 0] = 500.0  # The DC is no contrast.
    weights = model(position=position, masking=masking).block_weights(luma)
    assert weights[0].tolist() == pytest.approx([1.0, 3.0, 5.0, 6.0])
    assert weights[1].tolist() == pytest.approx([2.0, 3.0, 5.0, 6.0])


def test_moments_are_the_plain_sums() -> None:
    generator = torch.Generator().manual_seed(1)
    shape = (2, 9, 10, 8, 8)
    z, g = ([torch.randn(shape, generator=generator) * 40 for _ in range(3)] for _ in "zg")
    luma = torch.rand(8, 8, generator=generator) + 0.5
    moments = gradient_moments(z, g, luma)
    for c in range(3):
        wanted = (g[c].double() ** 2).mean((1, 2)).sum(0)
        assert torch.allclose(moments.products[c], wanted)
    assert torch.allclose(moments.products[5], (g[1].double() * g[2].double()).mean((1, 2)).sum(0))
    cost = ((g[0].double() * luma.double()) ** 2).sum((-1, -2))
    assert moments.place.shape == (8, 8)
    assert float(moments.contrast[0].sum()) == pytest.approx(float(cost.sum()))
    assert float(moments.contrast[1].sum()) == 180
    energy = (z[0].double().flatten(3)[..., 1:] ** 2).sum(-1).log2().long()
    level = int(energy[0, 0, 0])
    assert float(moments.contrast[1, level]) == int((energy == level).sum())
    both = moments + moments
    assert both.images == 4
    found = distortion_from(both, None, 0.0)
    once = distortion_from(moments, None, 0.0)
    assert np.allclose(found.sensitivity, once.sensitivity)
    assert np.abs(found.correlation).max() <= 1


def test_statistics_find_what_was_put_in() -> None:
    generator = torch.Generator().manual_seed(2)
    z = [torch.randn(200, 8, 8, 8, 8, generator=generator) * 20 for _ in range(3)]
    z[0][:, :, ::2] *= 8  # Every second column of blocks has much contrast ...
    g = [torch.randn(200, 8, 8, 8, 8, generator=generator) for _ in range(3)]
    g[0][:, :, ::2] *= 0.5  # ... and little sensitivity; the lower half has much.
    g[0][:, 4:] *= 2
    g[1] = 0.5 * g[0]
    found = distortion_from(gradient_moments(z, g, torch.ones(8, 8)), None, 0.0)
    assert np.allclose(found.correlation[0], 1, atol=1e-6)
    assert np.allclose(found.correlation[1], 0, atol=0.05)
    assert found.position[0].mean() / found.position[-1].mean() == pytest.approx(0.25, rel=0.05)
    weights = found.masking[1]
    assert weights[-1] / weights[0] == pytest.approx(0.25, rel=0.1)


def test_presets_keep_it(tmp_path) -> None:
    rng = np.random.default_rng(0)
    form = model(
        0.25,
        sensitivity=rng.uniform(1, 2, (3, 8, 8)),
        correlation=rng.uniform(-1, 1, (3, 8, 8)),
        position=rng.uniform(1, 2, (3, 4)),
        masking=np.array([[0.0, 3.0, 9.0], [1.0, 2.0, 0.5]]),
    )
    preset = dataclasses.replace(Preset.from_quality(50), distortion=form)
    preset.save(tmp_path / "p.json")
    again = Preset.load(tmp_path / "p.json")
    assert again == Preset.from_json(again.to_json())
    assert again.distortion is not None
    for name in ("sensitivity", "correlation", "position", "masking"):
        kept = getattr(again.distortion, name)
        assert np.allclose(kept, getattr(form, name), rtol=1e-3, atol=1e-3)
    assert again.distortion.rate_weight == 0.25
    assert Preset.from_quality(50).distortion is None
    assert "distortion" not in Preset.from_quality(50).to_json()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sensitivity", [[1.0]], "sensitivity must have shape"),
        ("sensitivity", (0 * ONE).tolist(), "sensitivity must be positive"),
        ("correlation", (2 * ONE).tolist(), "correlation must be from -1 to 1"),
        ("position", [[1.0, "x"]], "position must be a table of numbers"),
        ("masking", [[1.0, 0.0], [1.0, 1.0]], "masking\\[0\\] must rise"),
        ("rate_weight", -1.0, "rate_weight must be finite and at least 0, got -1.0"),
        ("rate_weight", "much", "rate_weight must be a number, got 'much'"),
    ],
)
def test_bad_distortion_is_named(field: str, value: object, words: str) -> None:
    body = json.loads(dataclasses.replace(Preset.from_quality(50), distortion=model(1.0)).to_json())
    body["distortion"][field] = value
    with pytest.raises(ValueError, match=f"file: distortion {words}"):
        Preset.from_json(json.dumps(body), "file")


def test_missing_field_of_a_distortion() -> None:
    body = json.loads(dataclasses.replace(Preset.from_quality(50), distortion=model(1.0)).to_json())
    del body["distortion"]["masking"]
    with pytest.raises(ValueError, match="distortion must have the fields"):
        Preset.from_json(json.dumps(body), "file")


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_learned_for_rdo(subsampling: str) -> None:
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (16, 3, 16, 16), dtype=torch.uint8, generator=generator)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4))
    settings = {"target_bpp": 40.0, "subsampling": subsampling, "batch_size": 2}
    preset = learn(network, images, mode="rdo", **settings)
    again = learn(network, images, mode="rdo", **settings)
    assert preset == again
    assert preset.distortion is not None
    assert preset.provenance["learned"]["rdo"]["cost"] <= 0
    assert (preset.distortion.correlation == 0).all() or subsampling == "4:4:4"
    assert learn(network, images, **settings).distortion is None
    assert decode(encode(images[0], preset, "rdo")).shape == (3, 16, 16)
    with pytest.raises(ValueError, match="mode must be hard or rdo, got 'soft'"):
        learn(network, images, mode="soft", **settings)


def test_correlation_is_for_whole_chroma_alone() -> None:
    """Learned at 4:4:4, encoded otherwise: nothing can be made up for, block by block."""
    correlation = np.full((3, 8, 8), 0.5)
    with_it = model(50.0, correlation=correlation)
    for subsampling in ("4:2:0", "4:2:2"):
        preset = Preset.from_quality(50, subsampling)
        files = [
            encode(photo(), dataclasses.replace(preset, distortion=d), "rdo")
            for d in (with_it, model(50.0))
        ]
        assert files[0] == files[1]


def test_what_makes_up_for_errors_stays_in_range() -> None:
    correlation = np.zeros((3, 8, 8))
    correlation[0] = 0.9
    luma, chroma = np.ones((8, 8), int), np.full((8, 8), 9)
    dark = torch.zeros(3, 16, 16, dtype=torch.uint8)
    dark[2] = torch.randint(0, 5, (16, 16), generator=torch.Generator().manual_seed(0))
    preset = Preset(luma, chroma, subsampling="4:4:4", distortion=model(correlation=correlation))
    assert decode(encode(dark, preset, "rdo")).shape == (3, 16, 16)


def test_a_ladder_scales_what_a_bit_is_worth() -> None:
    rungs = [
        dataclasses.replace(Preset.from_quality(q), distortion=model(weight))
        for q, weight in ((30, 80.0), (60, 20.0))
    ]
    curve = ((0, 0.1), (1, 1.0), (2, 2.0), (3, 9.0))
    ladder = Ladder(tuple(rungs), curve, ((1, 0.1), (100, 9.0)))
    assert ladder.at_position(1).distortion.rate_weight == pytest.approx(80)
    assert ladder.at_position(2).distortion.rate_weight == pytest.approx(20)
    steps = np.log(np.stack([rungs[1].luma, rungs[1].chroma])).mean()
    assert ladder.at_position(3).distortion.rate_weight == pytest.approx(20 * np.exp(-2 * steps))
    sizes = [len(encode(photo(), ladder.at_position(p), "rdo")) for p in (1, 1.5, 2, 2.5, 3)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[2]
