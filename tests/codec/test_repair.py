"""Files repaired along a network's gradient, judged by hand."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from scipy.fft import dctn
from torch import nn

from helpers.images import as_tensor, smooth_image
from softjpeg import Preset, encode, read_coefficients, write_coefficients
from softjpeg.codec.closed_loop import repair
from softjpeg.codec.closed_loop.blocks import blocks_of
from softjpeg.codec.closed_loop.candidates import default_presets, preset_candidates
from softjpeg.codec.closed_loop.gradients import margin_gradients, resampled
from softjpeg.codec.closed_loop.judge import Judge, network_input, network_outputs
from softjpeg.codec.closed_loop.repair import _Repair, choose_steps, repair_files, repaired_choices
from softjpeg.codec.closed_loop.search import smallest_files
from softjpeg.common.image_set import from_image
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.network import Network


def scene(size=32, seed=0):
    """Of middling contrast: what is added to it is not clipped."""
    return as_tensor(smooth_image(size, size, seed, low=60, high=196))


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


# Gradients


@pytest.mark.parametrize("kind", ["4:4:4", "4:2:0", "gray"])
def test_gradient_against_files_read_by_pillow(kind):
    """A linear network's margin is linear: large steps drown what decoders round."""
    network, image = linear_network(), scene()
    preset = Preset.from_quality(30, "4:4:4" if kind == "gray" else kind)
    data = encode(image, preset, gray=kind == "gray")
    blocks = blocks_of(image, data)
    judge = judge_of(network)
    goal = network_outputs(judge.networks, [(image,)])
    shown = [(from_image(Image.open(io.BytesIO(data)).convert("RGB")),)]
    margins, _, (gradient,) = margin_gradients(judge, [(blocks, blocks.indices)], shown, goal)
    out = read_by(network, data)
    own = int(goal[0][0].argmax())
    others = [i for i in range(12) if i != own]
    rival = max(others, key=lambda i: out[i])
    assert margins[0] == pytest.approx(float(out[own] - out[rival]), abs=1e-5)

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
    exact = network_input(image, network).float()
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


def test_choice_of_steps_against_all_choices():
    """With every price tried no choice of as many steps saves more bits for no less gain."""
    rng = np.random.default_rng(5)
    gains = torch.from_numpy(rng.normal(size=(6, 1)))
    bits = torch.from_numpy(rng.integers(-8, 3, (6, 1))).double()
    steps = choose_steps(gains, bits, 6, -0.6)
    gain, saved = (float(x[steps[:, 0], steps[:, 1]].sum()) for x in (gains, -bits))
    assert gain >= -0.6
    for mask in range(64):
        rows = [i for i in range(6) if mask >> i & 1]
        other_gain, other_saved = float(gains[rows].sum()), float(-bits[rows].sum())
        assert other_gain <= gain + 1e-9 or other_saved <= saved + 1e-9
    one_a_block = choose_steps(torch.ones(4, 9), torch.zeros(4, 9), 3, 1.0)
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
    """While lost: a larger margin. Once kept: fewer bytes, and still kept."""
    image = scene()
    data = encode(image, Preset.from_quality(20))
    blocks = blocks_of(image, data)
    one = _Repair(blocks, blocks.indices, data, ())
    taken = []
    for size, margin, kept in [
        (90, -2.0, False),
        (80, -3.0, False),
        (95, -1.0, False),
        (99, 0.1, True),
        (99, 0.5, True),
        (70, -0.1, False),
        (98, 0.05, True),
    ]:
        one.data = bytes(size)
        one.update(margin, (float(not kept),), kept, torch.zeros(1))
        taken.append((one.margin, len(one.result().data), one.result().kept))
    first, later = (90, False), (99, True)
    margins = [-2.0, -2.0, -1.0, 0.1, 0.1, 0.1, 0.05]
    best = [first, first, first, later, later, later, (98, True)]
    assert taken == [(a, *b) for a, b in zip(margins, best, strict=True)]


def test_every_file_is_read_once_in_a_pass(monkeypatch):
    """The network reads a few files at a time: of five in twos, none is read again."""
    counts = []

    class Counting(nn.Module):
        def forward(self, x):
            counts.append(len(x))
            return x

    network = linear_network()
    module = nn.Sequential(Counting(), network.module)
    images = [scene(seed=i) for i in range(5)]
    files = [encode(image, Preset.from_quality(60)) for image in images]
    judge = judge_of(Network(module, "counting"))
    monkeypatch.setattr(repair, "_BATCH", 2)
    found = repair_files(images, files, judge, 1)
    assert [result.passes for result in found] == [1] * 5
    assert max(counts[-3:]) == 2
    assert sum(counts[-3:]) == 5


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


# From the search to the repair


def test_refined_choices_are_kept_and_no_larger():
    images = [scene(seed=i) for i in range(5)]
    judge = judge_of(linear_network())
    ladder = [preset_candidates(default_presets([1, 3, 8, 20, 40, 70]), header="compact")] * 5
    choices = smallest_files(images, ladder, judge, effort=0)
    refined = repaired_choices(images, choices, judge, 6)
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
    (refined,) = repaired_choices(images, [choice], judge, 2)
    assert not refined.kept
    assert refined.data == choice.data
