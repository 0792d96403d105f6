"""Files repaired along a network's gradient: bits, slack and gradients judged by hand."""

import io
import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from scipy.fft import dctn
from torch import nn

from softjpeg import Preset, encode, read_coefficients, write_coefficients
from softjpeg.codec.closed_loop.blocks import blocks_of
from softjpeg.codec.closed_loop.candidates import default_presets, preset_candidates
from softjpeg.codec.closed_loop.gradients import resampled, slack_gradients
from softjpeg.codec.closed_loop.judge import Judge, answers, view
from softjpeg.codec.closed_loop.moves import bit_changes, symbol_bits
from softjpeg.codec.closed_loop.refine import refined_choices
from softjpeg.codec.closed_loop.repair import _Repair, choose, repair_files
from softjpeg.codec.closed_loop.saliency import saliency_maps, salient_candidates
from softjpeg.codec.closed_loop.search import smallest_files
from softjpeg.codec.closed_loop.slack import slack, soft_minimum
from softjpeg.common.image_set import from_image
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.network import Network


def random_blocks(n, seed=0):
    """Sparse blocks of every kind: empty ones, long runs, a last coefficient that is not zero."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(-9, 10, (n, 64)) * (rng.random((n, 64)) < rng.random((n, 1)) ** 3)
    blocks[0], blocks[1, 1:] = 0, 0
    blocks[2, 1:], blocks[2, 63] = 0, -3
    return torch.from_numpy(blocks)


def symbols_of(block):
    """(symbol, extra bits) of a block's AC coefficients, as T.81 F.1.2.2 describes them."""
    found, run = [], 0
    last = max((i for i in range(1, 64) if block[i]), default=0)
    for value in block[1 : last + 1]:
        if value == 0:
            run += 1
            continue
        found += [(0xF0, 0)] * (run // 16)
        size = abs(int(value)).bit_length()
        found.append(((run % 16) * 16 + size, size))
        run = 0
    return found + [(0x00, 0)] * (last < 63)


def scene(size=32, seed=0):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(60, 196, (6, 6, 3), dtype=np.uint8))
    return from_image(small.resize((size, size), Image.Resampling.BICUBIC))


class Differences(nn.Module):
    """Of neighbouring pixels: what coarse quantization takes away."""

    def forward(self, x):
        return x.diff(dim=-1)


def linear_network(seed=0, size=32, classes=12):
    torch.manual_seed(seed)
    layers = nn.Sequential(Differences(), nn.Flatten(), nn.Linear(3 * size * (size - 1), classes))
    return Network(layers.requires_grad_(False), f"linear {seed}")


def read_by(network, data):
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    return network.module(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0]


def judge_of(*networks, keep="top1"):
    return Judge(tuple(networks), parse_fidelity(keep))


# Bits


def test_bits_of_every_move():
    blocks = random_blocks(40)
    lengths = torch.randint(2, 17, (256,), generator=torch.Generator().manual_seed(1))

    def bits(block):
        return sum(int(lengths[symbol]) + extra for symbol, extra in symbols_of(block))

    away, nearer = bit_changes(blocks, lengths)
    for row, block in enumerate(blocks.numpy()):
        before = bits(block)
        for place in range(1, 64):
            sign = -1 if block[place] < 0 else 1
            moved = block.copy()
            moved[place] += sign
            assert away[row, place] == bits(moved) - before
            if block[place]:
                moved[place] -= 2 * sign
                assert nearer[row, place] == bits(moved) - before
    assert not away[:, 0].any()
    assert not nearer[:, 0].any()


def test_bits_of_symbols():
    blocks = random_blocks(60, seed=3)
    counts = Counter(symbol for block in blocks.numpy() for symbol, _ in symbols_of(block))
    total = sum(counts.values()) + 256
    expected = [-math.log2((counts[symbol] + 1) / total) for symbol in range(256)]
    np.testing.assert_allclose(symbol_bits(blocks), expected, rtol=1e-5)


# Slack


@pytest.mark.parametrize("keep", ["top1", "top3", "in-top1", "in-top4", "kl:1.5", "cosine:0.7"])
def test_slack_is_positive_where_the_answer_is_kept(keep):
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(300, 6, generator=generator)
    outputs = wanted + 2 * torch.randn(300, 6, generator=generator)
    fidelity = parse_fidelity(keep)
    kept = fidelity.measure(outputs, wanted) <= fidelity.limit
    assert 30 < kept.sum() < 270
    assert torch.equal(slack(fidelity, outputs, wanted) > 0, kept)


def test_soft_minimum_is_below_the_least():
    values = torch.tensor([[1.0, 5.0, -3.0], [4.0, 5.0, 9.0]])
    expected = [-math.log(sum(math.exp(-v) for v in column)) for column in values.T.tolist()]
    np.testing.assert_allclose(soft_minimum(values), expected, rtol=1e-6)
    assert (soft_minimum(values) < values.amin(0)).all()
    assert torch.equal(soft_minimum(values[:1]), values[0])


# Gradients


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "gray"])
def test_gradient_against_files_read_by_pillow(kind):
    """A linear network's margin is linear: large steps drown what decoders round."""
    network, image = linear_network(), scene()
    preset = Preset.from_quality(30, "4:4:4" if kind == "gray" else kind)
    data = encode(image, preset, gray=kind == "gray")
    blocks = blocks_of(image, data)
    judge = judge_of(network)
    goal = answers(judge.networks, [(image,)])
    shown = [(from_image(Image.open(io.BytesIO(data)).convert("RGB")),)]
    room, _, (gradient,) = slack_gradients(judge, [(blocks, blocks.indices)], shown, goal)
    out = read_by(network, data)
    own = int(goal[0][0].argmax())
    others = [i for i in range(12) if i != own]
    rival = max(others, key=lambda i: out[i])
    assert room[0] == pytest.approx(float(out[own] - out[rival]), abs=1e-5)

    def margin(row, place, step):
        moved = blocks.indices.clone()
        moved[row, place] += step
        out = read_by(network, blocks.file(moved))
        return float(out[own] - out[rival])

    rng = np.random.default_rng(0)
    picks = [(int(rng.integers(len(gradient))), int(rng.integers(0, 10))) for _ in range(40)]
    measured, expected = [], []
    for row, place in picks:
        step = max(1, round(40 / float(blocks.steps[row, place])))
        measured.append((margin(row, place, step) - margin(row, place, -step)) / (2 * step))
        expected.append(float(gradient[row, place]))
    assert np.corrcoef(measured, expected)[0, 1] > 0.99
    assert np.dot(measured, expected) / np.dot(expected, expected) == pytest.approx(1, abs=0.03)


def test_a_network_that_fails_on_a_file_is_named():
    class Fragile(nn.Module):
        def forward(self, x):
            same = (x.mean((2, 3)) - 0.5).abs()
            return same * math.nan if x.requires_grad else same

    judge = judge_of(Network(Fragile(), "fragile"))
    with pytest.raises(ValueError, match="fragile: the network's output on a file is not finite"):
        repair_files([scene()], [encode(scene(), Preset.from_quality(9))], judge, 2)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resampling_is_nearly_pillows(interpolation):
    network = Network(nn.Identity(), "any", (20, 24), 30, interpolation)
    image = scene(48)
    approximate = resampled(image / 255, network) * 255
    exact = view(image, network).float()
    assert approximate.shape == exact.shape == (3, 20, 24)
    assert (approximate - exact).abs().max() < 3


# Files


def test_blocks_are_those_of_the_file():
    image = scene(40)
    data = encode(image, Preset.from_quality(20, "4:2:0"))
    blocks = blocks_of(image, data)
    read, again = read_coefficients(data), read_coefficients(blocks.file(blocks.indices))
    for a, b in zip(read.components, again.components, strict=True):
        np.testing.assert_array_equal(a, b)
    # Y's coefficients by SciPy, of libjpeg's luma.
    luma = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("YCbCr"))[..., 0]
    block = dctn(luma[8:16, 16:24] - 128.0, norm="ortho").reshape(64)[ZIGZAG]
    found = (blocks.ratios * blocks.steps)[1 * 5 + 2]
    np.testing.assert_allclose(found, block, atol=8)
    with pytest.raises(ValueError, match="the file must be 32 x 32, got 40 x 40"):
        blocks_of(scene(32), data)


def test_choice_of_moves_against_all_choices():
    """With every price tried no choice of as many moves saves more bits for no less gain."""
    rng = np.random.default_rng(5)
    gains = torch.from_numpy(rng.normal(size=(6, 1)))
    bits = torch.from_numpy(rng.integers(-8, 3, (6, 1))).double()
    moves = choose(gains, bits, 6, -0.6)
    gain, saved = (float(x[moves[:, 0], moves[:, 1]].sum()) for x in (gains, -bits))
    assert gain >= -0.6
    for mask in range(64):
        rows = [i for i in range(6) if mask >> i & 1]
        other_gain, other_saved = float(gains[rows].sum()), float(-bits[rows].sum())
        assert other_gain <= gain + 1e-9 or other_saved <= saved + 1e-9
    one_a_block = choose(torch.ones(4, 9), torch.zeros(4, 9), 3, 1.0)
    assert len(set(one_a_block[:, 0].tolist())) == 3


@pytest.fixture(scope="module")
def repaired():
    images = [scene(seed=i) for i in range(6)]
    judge = judge_of(linear_network())
    files = [
        encode(image, Preset.from_quality(q)) for image, q in zip(images, [4] * 6, strict=True)
    ]
    return images, judge, files, repair_files(images, files, judge, 12)


def test_repair_wins_answers_back(repaired):
    images, judge, files, found = repaired
    (network,) = judge.networks
    before = 0
    for image, file, result in zip(images, files, found, strict=True):
        own = int(network.module(image[None] / 255).argmax())
        start = int(read_by(network, file).argmax()) == own
        before += start
        assert result.kept == (int(read_by(network, result.data).argmax()) == own)
        assert result.kept or result.data == file
        assert not start or (result.kept and len(result.data) <= len(file))
        assert 1 <= result.passes <= 12
    assert before < 6
    assert sum(result.kept for result in found) > before


def test_repair_saves_bytes_while_it_keeps_the_answer(repaired):
    images, judge, _, _ = repaired
    files = [encode(image, Preset.from_quality(60), header="compact") for image in images]
    found = repair_files(images, files, judge, 8)
    assert all(result.kept for result in found)
    assert sum(len(r.data) for r in found) < 0.97 * sum(len(f) for f in files)
    assert all(result.measures == (0.0,) for result in found)


def test_what_is_taken_for_better():
    """While lost: more slack. Once kept: fewer bytes, and still kept."""
    image = scene()
    data = encode(image, Preset.from_quality(20))
    blocks = blocks_of(image, data)
    repair = _Repair(blocks, blocks.indices, data)
    told = []
    for size, room, kept in [
        (90, -2.0, False),
        (80, -3.0, False),
        (95, -1.0, False),
        (99, 0.1, True),
        (99, 0.5, True),
        (70, -0.1, False),
        (98, 0.05, True),
    ]:
        repair.data = bytes(size)
        repair.tell(room, (float(not kept),), kept, torch.zeros(1))
        told.append((repair.slack, len(repair.result().data), repair.result().kept))
    first, later = (90, False), (99, True)
    slacks = [-2.0, -2.0, -1.0, 0.1, 0.1, 0.1, 0.05]
    best = [first, first, first, later, later, later, (98, True)]
    assert told == [(a, *b) for a, b in zip(slacks, best, strict=True)]


def test_repair_is_deterministic_and_leaves_good_files_alone(repaired):
    images, judge, files, found = repaired
    assert repair_files(images, files, judge, 12) == found
    once = repair_files(images, files, judge, 1)
    assert [r.data for r in once] == files
    with pytest.raises(ValueError, match="passes must be at least 1, got 0"):
        repair_files(images, files, judge, 0)


def test_indices_stay_near_the_image(repaired):
    images, _, _, found = repaired
    changed = 0
    for image, result in zip(images, found, strict=True):
        blocks = blocks_of(image, result.data)
        nearest = torch.round(blocks.ratios)
        changed += int((blocks.indices != nearest).sum())
        limit = torch.where(blocks.ratios.abs() < 1, 1.0, blocks.ratios.abs() + 1)
        assert (blocks.indices.abs() <= limit).all()
        assert (blocks.indices[:, 0] - blocks.ratios[:, 0]).abs().max() < 0.6
    assert changed > 10


@pytest.mark.parametrize("header", ["jfif", "compact"])
def test_header_and_profile_stay(header):
    picture = Image.fromarray(scene().permute(1, 2, 0).numpy())
    picture.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(picture, Preset.from_quality(60), header=header)
    (result,) = repair_files([picture], [data], judge_of(linear_network()), 6)
    assert result.data != data
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.info["icc_profile"] == picture.info["icc_profile"]
        assert ("jfif" in image.info) == (header == "jfif")


def test_several_networks_must_all_keep_it():
    images = [scene(seed=i) for i in range(4)]
    networks = linear_network(0), linear_network(1)
    files = [encode(image, Preset.from_quality(40), header="compact") for image in images]
    for result, image in zip(
        repair_files(images, files, judge_of(*networks), 6), images, strict=True
    ):
        answers_kept = [
            bool(read_by(n, result.data).argmax() == n.module(image[None] / 255).argmax())
            for n in networks
        ]
        assert result.kept == all(answers_kept)


def test_a_gray_file(repaired):
    image = scene()
    data = encode(image, Preset.from_quality(50), gray=True)
    (result,) = repair_files([image], [data], judge_of(linear_network(), keep="kl:0.5"), 4)
    assert len(read_coefficients(result.data).components) == 1
    plain = read_coefficients(data)
    same = write_coefficients(
        plain.components, plain.tables[0], size=plain.size, subsampling=plain.subsampling
    )
    assert len(result.data) <= len(same)


# Saliency


def test_saliency_by_finite_differences():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 24, 6), nn.Tanh(), nn.Linear(6, 5))
    image = (torch.rand(3, 16, 24) * 255).to(torch.uint8)
    (found,) = saliency_maps(judge_of(Network(layers, "smooth")), [image])
    exact, double = image.double() / 255, layers.double()
    eye = torch.eye(image.numel(), dtype=torch.float64).reshape(-1, *image.shape) * 1e-4
    with torch.no_grad():
        best = int(double(exact[None]).argmax())
        up, down = (double(exact + sign * eye).log_softmax(-1)[:, best] for sign in (1, -1))
    slope = ((up - down) / 2e-4).reshape(image.shape).numpy()
    energy = (slope**2).sum(0).reshape(2, 8, 3, 8).sum((1, 3))
    smooth = [[energy[:, max(c - 1, 0) : c + 2].mean() for c in range(3)]] * 2
    np.testing.assert_allclose(found, smooth / np.mean(smooth), rtol=1e-3)
    layers.float()


def test_saliency_is_where_the_network_looks():
    torch.manual_seed(1)
    left = nn.Sequential(nn.ZeroPad2d((0, -24, 0, 0)), nn.Flatten(), nn.Linear(3 * 40 * 16, 4))
    images = [scene(40, seed) for seed in range(3)]
    for found in saliency_maps(judge_of(Network(left, "left")), images, batch_size=2):
        assert tuple(found.shape) == (5, 5)
        assert float(found.mean()) == pytest.approx(1)
        assert (found[:, :2] > 0.1).all()
        assert not found[:, 3:].any()


@pytest.mark.parametrize("options", [{}, {"gray": True}])
def test_salient_files_spend_where_it_counts(options):
    """One tile everywhere, half of the image salient."""
    tile = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8))
    image = tile.repeat(1, 3, 4)
    saliency = torch.tensor([[2.0] * 4 + [0.0] * 4] * 6)
    presets = {"p": Preset.from_quality(25)}
    free, cheap, dear = salient_candidates(presets, saliency, [0, 0.05, 0.2], **options)
    assert dear.name == "p salient 0.2"
    plain = encode(image, presets["p"], mode=_rounded, **options)
    assert free.encode(image) == plain
    counts = []
    for candidate in (free, cheap, dear):
        luma = read_coefficients(candidate.encode(image)).components[0] != 0
        counts.append((int(luma[:, :4].sum()), int(luma[:, 4:].sum())))
    assert counts[0][0] == counts[0][1]
    for before, after in itertools.pairwise(counts):
        assert after[0] > after[1]
        assert after[0] <= before[0]
        assert after[1] < before[1]


def _rounded(coefficients, preset):
    tables = preset.luma, preset.chroma, preset.chroma
    return [
        torch.round(z / torch.from_numpy(t)).int()
        for z, t in zip(coefficients, tables, strict=False)
    ]


# From the search to the repair


def test_refined_choices_are_kept_and_no_larger():
    images = [scene(seed=i) for i in range(5)]
    judge = judge_of(linear_network())
    ladder = [preset_candidates(default_presets([1, 3, 8, 20, 40, 70]), header="compact")] * 5
    choices = smallest_files(images, ladder, judge, effort=0)
    refined = refined_choices(images, choices, judge, 6)
    assert sum(len(r.data) for r in refined) < sum(len(c.data) for c in choices)
    for image, choice, result in zip(images, choices, refined, strict=True):
        own = int(judge.networks[0].module(image[None] / 255).argmax())
        assert result.kept
        assert int(read_by(judge.networks[0], result.data).argmax()) == own
        assert len(result.data) <= len(choice.data)
        assert result.runs > choice.runs
        assert (result.data == choice.data) == (result.candidate == choice.candidate)
        assert result.candidate.removesuffix(" repaired") in {c.name for c in ladder[0]}


def test_refining_what_no_candidate_kept():
    images, judge = [scene(seed=0)], judge_of(linear_network(), keep="cosine:1e-9")
    ladder = [preset_candidates(default_presets([3]), header="compact")]
    (choice,) = smallest_files(images, ladder, judge)
    (refined,) = refined_choices(images, [choice], judge, 2)
    assert not refined.kept
    assert refined.data == choice.data
