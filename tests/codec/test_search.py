"""The network in the loop: criteria, and the smallest file that keeps them, judged by hand."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.images import as_tensor, smooth_image
from helpers.networks import linear_reader
from softjpeg import Preset
from softjpeg.codec.closed_loop.candidates import (
    Candidate,
    default_presets,
    named_presets,
    preset_candidates,
)
from softjpeg.codec.closed_loop.judge import Judge, network_input, network_outputs
from softjpeg.codec.closed_loop.search import EXHAUSTIVE, plan, smallest_files
from softjpeg.codec.image import encode
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.network import Network

QUALITIES = [2, 4, 7, 10, 14, 20, 28, 36, 45, 55, 65, 72, 80, 88, 95]


class Contrast(nn.Module):
    """Class 0 while neighbouring pixels differ, across or down; class 1 for a flat image."""

    def __init__(self, axis=-1):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        difference = x.diff(dim=self.axis).abs().mean(dim=(1, 2, 3))
        return torch.stack([difference, torch.full_like(difference, 1e-4)], dim=1)


def stripes(amplitude, vertical=True):
    """128 ± amplitude: one DCT coefficient of 8 * amplitude at (0, 4), or at (4, 0)."""
    wave = np.array([1, -1, -1, 1, 1, -1, -1, 1]) * amplitude + 128
    block = np.tile(wave, (8, 1)) if vertical else np.tile(wave[:, None], (1, 8))
    return torch.from_numpy(np.tile(block, (3, 2, 2)).astype(np.uint8))


def lowest_quality(amplitude, place=(0, 4)):
    """At which the coefficient of the stripes does not round to zero."""
    kept = [q for q in QUALITIES if Preset.from_quality(q).luma[place] <= 2 * 8 * amplitude]
    return kept[0] if kept else None


def images_of(count):
    return [as_tensor(smooth_image(24, 24, seed)) for seed in range(count)]


def random_network(seed):
    return Network(linear_reader(24, 2, 30, seed), f"random {seed}")


def by_hand(network, data):
    """A file as Pillow and the network read it."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    with torch.no_grad():
        return network.module(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0]


def ladder(qualities=QUALITIES, subsamplings=("4:2:0",)):
    return preset_candidates(default_presets(qualities), subsamplings)


# Criteria


def test_measures_of_random_scores():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 50, 12, generator=generator)
    scores, wanted = a.double().numpy(), b.double().numpy()
    p, q = (np.exp(x) / np.exp(x).sum(-1, keepdims=True) for x in (wanted, scores))
    norms = np.linalg.norm(scores, axis=1) * np.linalg.norm(wanted, axis=1)
    by_numpy = {
        "kl:1": (p * np.log(p / q)).sum(-1),
        "cosine:1": 1 - (scores * wanted).sum(-1) / norms,
        "top1": (scores.argmax(-1) != wanted.argmax(-1)).astype(float),
        "top4": [
            4 - len(set(np.argsort(s)[-4:]) & set(np.argsort(w)[-4:]))
            for s, w in zip(scores, wanted, strict=True)
        ],
        "in-top3": [1 + (s > s[w.argmax()]).sum() for s, w in zip(scores, wanted, strict=True)],
    }
    for name, expected in by_numpy.items():
        found = parse_fidelity(name).measure(a, b)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=name)
        assert len(np.unique(np.round(expected, 6))) > 1


def test_limits():
    assert parse_fidelity("top1").limit == 0
    assert parse_fidelity("top5").limit == 0
    assert parse_fidelity("in-top5").limit == 5
    assert parse_fidelity("cosine:0.05").limit == 0.05
    same = torch.tensor([[1.0, 3.0, 2.0]])
    for name in ("top1", "top2", "kl:0", "cosine:1e-9"):
        fidelity = parse_fidelity(name)
        assert fidelity.measure(same, same).item() <= fidelity.limit


@pytest.mark.parametrize("text", ["", "top", "top0", "kl", "kl:", "cosine", "best", "in-top"])
def test_unknown_criteria(text):
    with pytest.raises(ValueError, match=f"keep must be top1, .*, got '{text}'"):
        parse_fidelity(text)


@pytest.mark.parametrize("limit", ["-1", "nan", "inf", "much"])
def test_limits_out_of_range(limit):
    with pytest.raises(ValueError, match=f"limit of kl must be a finite .* got {limit}"):
        parse_fidelity(f"kl:{limit}")


def test_outputs_that_a_criterion_cannot_read():
    with pytest.raises(ValueError, match="top5 needs as many classes, but there are 3"):
        parse_fidelity("top5").measure(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"class scores .* got shape \(1, 3, 2\)"):
        parse_fidelity("in-top2").measure(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))
    one = Network(nn.Sequential(nn.Flatten(), nn.Linear(3072, 1)), "one")
    outputs = network_outputs([one], [(torch.zeros(3, 32, 32, dtype=torch.uint8),)])[0]
    with pytest.raises(ValueError, match=r"one: keep top1 tells nothing of outputs \(1, 1\)"):
        Judge((one,), parse_fidelity("top1")).measure(outputs, outputs)


def test_several_networks_worst_and_average():
    networks = (random_network(0), random_network(1))
    worst, mean = (Judge(networks, parse_fidelity("kl:0.5"), average) for average in (False, True))
    assert worst.keeps([0.5, 0.1])
    assert not worst.keeps([0.6, 0.1])
    assert mean.keeps([0.9, 0.1])
    assert not mean.keeps([0.95, 0.1])
    assert not worst.keeps([math.nan, 0.1])
    assert not mean.keeps([math.nan, 0.1])
    for wrong in ((), (networks[0], networks[0])):
        with pytest.raises(ValueError, match="one or more different ones"):
            Judge(wrong, parse_fidelity("top1"))


# What networks read


@pytest.mark.parametrize("size", [(70, 45), (45, 70), (50, 50)])
def test_views_are_torchvisions(size):
    transforms = pytest.importorskip(
        "torchvision.transforms", reason="softjpeg[models] is not installed"
    )
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    judge = transforms.Compose(
        [
            transforms.Resize(36, transforms.InterpolationMode.BILINEAR),
            transforms.CenterCrop((32, 24)),
            transforms.PILToTensor(),
        ]
    )
    network = Network(nn.Identity(), "n", size=(32, 24), resize=36, interpolation="bilinear")
    assert torch.equal(network_input(image, network), judge(image))
    gray = network_input(image.convert("L"), network)
    assert torch.equal(gray, judge(image.convert("L").convert("RGB")))


def test_answers_do_not_mix_sizes_up():
    network = Network(nn.AdaptiveAvgPool2d(1), "mean")
    views = [
        (torch.full((3, *size), i, dtype=torch.uint8),)
        for i, size in enumerate([(8, 8), (4, 9), (8, 8)])
    ]
    means = [answer[0].mean().item() * 255 for answer in network_outputs([network], views)]
    np.testing.assert_allclose(means, [0, 1, 2], atol=1e-5)


def test_networks_that_fail_are_named():
    class Broken(nn.Module):
        def forward(self, x):
            return x.mean((1, 2, 3))[:, None] / 0

    with pytest.raises(ValueError, match=r"^broken: the network's output .* not finite"):
        network_outputs([Network(Broken(), "broken")], [(torch.ones(3, 8, 8, dtype=torch.uint8),)])


# The search


@pytest.mark.parametrize("effort", [0, 2, EXHAUSTIVE])
def test_the_right_rung_in_closed_form(effort):
    amplitudes = [1, 2, 3, 5, 8, 13, 21, 34]
    judge = Judge((Network(Contrast(), "contrast"),), parse_fidelity("top1"))
    images = [stripes(a) for a in amplitudes]
    found = smallest_files(images, [ladder()] * len(images), judge, effort=effort)
    wanted = [lowest_quality(a) for a in amplitudes]
    assert len(set(wanted)) > 5
    assert [choice.candidate for choice in found] == [f"default q {q} 4:2:0" for q in wanted]
    for choice, image, quality in zip(found, images, wanted, strict=True):
        assert choice.kept
        assert choice.data == ladder([quality])[0].encode(image)
        assert choice.runs <= (5 if effort == 0 else len(QUALITIES))


def test_every_network_must_keep_its_answer():
    networks = Network(Contrast(-1), "across"), Network(Contrast(-2), "down")
    image = torch.cat([stripes(20), stripes(2, vertical=False)], dim=-1)
    needs = lowest_quality(20, (0, 4)), lowest_quality(2, (4, 0))
    assert needs[0] < needs[1]
    for readers, quality in ((networks[:1], needs[0]), (networks, needs[1])):
        judge = Judge(readers, parse_fidelity("top1"))
        # A step in the middle is seen by both: only class 0 of "down" needs the second half.
        (choice,) = smallest_files([image], [ladder()], judge)
        assert choice.candidate == f"default q {quality} 4:2:0"
        assert len(choice.measures) == len(readers)


@pytest.mark.parametrize("subsamplings", [("4:2:0",), ("4:4:4", "gray", "4:2:0")])
def test_exhaustive_search_is_brute_force(subsamplings):
    images, network = images_of(8), random_network(3)
    candidates = ladder(QUALITIES[1:8], subsamplings)
    judge = Judge((network,), parse_fidelity("top1"))
    own = [network.module(image[None] / 255)[0].argmax() for image in images]
    smallest, jagged = [], 0
    for image, answer in zip(images, own, strict=True):
        files = sorted((c.encode(image) for c in candidates), key=len)
        kept = [bool(by_hand(network, data).argmax() == answer) for data in files]
        smallest.append(len(files[kept.index(True)]) if any(kept) else len(files[-1]))
        jagged += sorted(kept) != kept
    ladders = [candidates] * len(images)
    found = smallest_files(images, ladders, judge, effort=EXHAUSTIVE)
    assert [len(choice.data) for choice in found] == smallest
    assert jagged >= 2
    bytes_of = [
        sum(len(c.data) for c in smallest_files(images, ladders, judge, effort=e, by_size=True))
        for e in (0, 1, 2, 4)
    ]
    assert bytes_of == sorted(bytes_of, reverse=True)
    assert bytes_of[0] > bytes_of[-1] >= sum(smallest)


def test_limits_of_kl_and_cosine_hold():
    images, network = images_of(6), random_network(5)
    for name in ("kl:0.02", "cosine:0.01"):
        fidelity = parse_fidelity(name)
        judge = Judge((network,), fidelity)
        found = smallest_files(images, [ladder()] * len(images), judge, effort=3)
        for image, choice in zip(images, found, strict=True):
            original = network.module(image[None] / 255)
            measure = fidelity.measure(by_hand(network, choice.data)[None], original).item()
            assert choice.measures == pytest.approx((measure,), rel=1e-3, abs=1e-7)
            assert choice.kept == (measure <= fidelity.limit)
            assert choice.kept


def test_where_no_candidate_keeps_it():
    judge = Judge((Network(Contrast(), "contrast"),), parse_fidelity("top1"))
    for effort in (0, EXHAUSTIVE):
        (choice,) = smallest_files([stripes(1)], [ladder([2, 4, 7])], judge, effort=effort)
        assert (choice.kept, choice.candidate) == (False, "default q 7 4:2:0")
        assert choice.measures == (1.0,)


@pytest.mark.parametrize(
    ("effort", "tried"),
    [
        (0, [7, 11, 9, 8]),
        (1, [7, 11, 9, 8, 6]),
        (2, [7, 11, 9, 8, 6, 5, 4, 3, 2]),
        (3, [7, 11, 9, 8, 6, 5, 4, 3, 2, 1]),
        (EXHAUSTIVE, [0, 1, 2, 3, 4]),
    ],
)
def test_order_of_trials(effort, tried):
    # Of 16 candidates these keep it: halving finds 9; 5 is found after one in vain, 4 then at once.
    kept = {4, 5, 9, 10, 11, 12, 13, 14, 15}
    search, found = plan(16, effort), []
    index = next(search)
    while index is not None:
        found.append(index)
        try:
            index = search.send(index in kept)
        except StopIteration:
            index = None
    assert found == tried


def test_the_network_runs_once_a_round():
    calls = []

    class Counted(Contrast):
        def forward(self, x):
            calls.append(len(x))
            return super().forward(x)

    judge = Judge((Network(Counted(), "counted"),), parse_fidelity("top1"))
    images = [stripes(a) for a in (1, 2, 3, 5, 8, 13)]
    found = smallest_files(images, [ladder()] * 6, judge)
    # The images themselves, and then the search of the longest one.
    assert len(calls) == 1 + max(choice.runs for choice in found)
    assert sum(calls) == 6 + sum(choice.runs for choice in found)
    assert max(choice.runs for choice in found) <= math.ceil(math.log2(len(QUALITIES))) + 1


def test_equal_files_are_read_once():
    gray = stripes(20)[:1]
    judge = Judge((Network(Contrast(), "contrast"),), parse_fidelity("top1"))
    candidates = ladder([5, 10, 20], ("4:2:0", "4:4:4", "gray"))
    (choice,) = smallest_files([gray], [candidates], judge, effort=EXHAUSTIVE)
    assert choice.runs <= 3


def test_candidates_may_be_any_encoders_and_differ_between_images():
    def webp(image, quality):
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "webp", quality=quality)
        return buffer.getvalue()

    judge = Judge((Network(Contrast(), "contrast"),), parse_fidelity("top1"))
    own = [Candidate("webp 90", lambda image: webp(image, 90))]
    first, second = smallest_files([stripes(20), stripes(20)], [own, ladder([20])], judge)
    assert (first.data[8:12], first.candidate, first.runs) == (b"WEBP", "webp 90", 1)
    assert second.candidate == "default q 20 4:2:0"


def test_results_do_not_depend_on_the_mapper():
    from concurrent.futures import ThreadPoolExecutor

    images, judge = images_of(5), Judge((random_network(1),), parse_fidelity("kl:0.1"))
    ladders = [ladder()] * 5
    with ThreadPoolExecutor(3) as pool:
        threads = smallest_files(images, ladders, judge, effort=2, mapper=pool.map)
    assert threads == smallest_files(images, ladders, judge, effort=2)


def test_search_refusals():
    judge = Judge((Network(Contrast(), "contrast"),), parse_fidelity("top1"))
    with pytest.raises(ValueError, match="effort must be at least 0, got -1"):
        smallest_files([stripes(1)], [ladder()], judge, effort=-1)
    with pytest.raises(ValueError, match="candidates must be one or more"):
        smallest_files([stripes(1)], [[]], judge)
    large = Network(Contrast(), "large", size=(99, 99))
    with pytest.raises(ValueError, match="the image is 16x16, smaller than the crop 99x99"):
        smallest_files([stripes(1)], [ladder()], Judge((large,), parse_fidelity("top1")))


# Ladders by name


def test_named_presets(tmp_path):
    from softjpeg.presets.ladder import Ladder

    Preset.from_quality(30).save(tmp_path / "one.json")
    rungs = tuple(Preset.from_quality(q, "4:4:4") for q in (20, 60))
    bpp = ((0, 0.1), (1, 0.5), (2, 1.0), (3, 8.0))
    Ladder(rungs, bpp, ((1, 0.1), (20, 0.5), (60, 1.0), (100, 8.0))).save(tmp_path / "l.json")
    one, many = str(tmp_path / "one.json"), str(tmp_path / "l.json")
    found = named_presets([one, many, "default"], [20, 60])
    assert list(found) == [one, f"{many} q 20", f"{many} q 60", "default q 20", "default q 60"]
    assert np.array_equal(found[f"{many} q 60"].luma, rungs[1].luma)
    assert found["default q 60"] == Preset.from_quality(60)
    names = [c.name for c in preset_candidates(found, ("gray",))]
    assert names[0] == f"{one} gray"
    with pytest.raises(ValueError, match=r"absent.json is neither a file nor"):
        named_presets(["absent.json"], [20])
    with pytest.raises(ValueError, match="quality must be"):
        named_presets(["default"], [101])


def test_of_those_that_are_kept_the_smallest_file_is_chosen():
    """The lowest rung is tried last, and kept, but its file is larger than the one above."""
    candidates = [ladder([q])[0] for q in (60, 10, 90)]
    judge = Judge((random_network(3),), parse_fidelity("kl:1000"))
    (image,) = images_of(1)
    (choice,) = smallest_files([image], [candidates], judge)
    assert choice.runs == 2
    assert choice.candidate == "default q 10 4:2:0"
    assert choice.data == candidates[1].encode(image)


def test_drawn_candidates_are_of_the_seed():
    image = images_of(1)[0]
    presets = default_presets([30])

    def drawn(seed):
        options = {"mode": "probabilistic", "seed": seed}
        (candidate,) = preset_candidates(presets, ["4:2:0"], **options)
        return candidate.encode(image)

    (preset,) = presets.values()
    assert drawn(3) == encode(image, preset, "probabilistic", seed=3)
    assert drawn(3) != drawn(4)
