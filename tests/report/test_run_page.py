"""What pages are filled with, against numbers and pictures by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.calls import plain, spy
from helpers.images import as_tensor, noise, smooth_images
from helpers.networks import HighFrequencyReader
from softjpeg import Preset, encode
from softjpeg.evaluation.changed_answers import ChangedAnswers
from softjpeg.evaluation.qualities import QualitySweep
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.report.feature_maps import grad_cam, overlay
from softjpeg.report.learn_page import learn_page
from softjpeg.report.quality_page import quality_page
from softjpeg.report.run_page import run_page

for package in ("jinja2", "matplotlib"):
    pytest.importorskip(package, reason="pages need softjpeg[report]")

NAMES = tuple("abcdef")
IMAGES = noise(6, 32)


def pixels(png):
    return as_tensor(Image.open(io.BytesIO(png)).convert("RGB"))


def network(channels=6):
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, channels, 3), nn.ReLU(), nn.Conv2d(channels, 5, 3))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.fixture
def filled(monkeypatch):
    """The templates that were filled, and with what."""

    def of(module):
        calls = spy(monkeypatch, f"softjpeg.report.{module}:render_template")
        return lambda: calls[-1]

    return of


def flat(step, **options):
    return JPEGLayer(*[torch.full((8, 8), step)] * 2, **options)


def test_a_page_of_a_layer_in_front(filled, monkeypatch):
    called = filled("run_page")
    layer, initial = flat(30.0, levels=2), torch.full((1, 2, 8, 8), 20.0)
    model = nn.Sequential(layer, network())
    effects = spy(monkeypatch, "softjpeg.report.run_page:layer_effect")
    bounds = spy(monkeypatch, "softjpeg.report.run_page:bound_plot")
    labels = torch.arange(6) % 5
    words = {"labels": labels, "initial": initial, "class_name": "class {}".format, "shown": 3}
    run_page(model, layer, IMAGES, NAMES, title="t", facts={"x": "y"}, batch_size=4, **words)
    ((template,), values) = called()
    names = ("title", "count", "labelled", "compared", "bounded", "kinds", "facts")
    assert [template, *(values[name] for name in names)] == [
        *("run_page.html", "t", 6, True, True, True, 2, {"x": "y"})
    ]
    assert (values["feature_module"], values["cam_module"]) == ("1.0", "1.2")
    assert values["layer"].startswith("JPEGLayer(")
    assert "quantizer='soft'" in values["layer"]
    assert [name for name, _ in values["tables"]] == ["luma", "chroma"]
    assert plain(effects) == [(("JPEGLayer", (6, 3, 32, 32), 4), {})]
    ((_, bound), _) = bounds[0]
    assert torch.equal(bound, torch.full((2, 8, 8), 60.0))
    effect = values["effect"]
    assert [picture.name for picture in effect["pictures"]] == ["a", "b", "c"]
    assert torch.equal(pixels(effect["pictures"][1].original), IMAGES[1])
    assert len(effect["zero"]) == len(effect["bounded"]) == 2
    assert all(0 <= share <= 1 for share in effect["zero"])
    # Two images of feature maps, and class-activation maps of all three.
    assert [row["name"] for row in values["grids"]] == ["a", "b"]
    assert [row["name"] for row in values["cams"]] == ["a", "b", "c"]
    for i, row in enumerate(values["cams"]):
        assert row["class"] == f"class {labels[i]}"
        assert torch.equal(pixels(row["original"]), IMAGES[i])
        with torch.no_grad():
            behind = model(IMAGES[:3] / 255).softmax(-1)[i]
            without = model[1](IMAGES[:3] / 255).softmax(-1)[i]
        ways = [(view["way"], view["answer"], view["right"]) for view in row["views"]]
        assert ways == [
            (way, f"class {scores.argmax()}", scores.argmax() == labels[i])
            for way, scores in (("without the layer", without), ("with the layer", behind))
        ]
        shares = [view["probability"] for view in row["views"]]
        assert shares == pytest.approx([without.max().item(), behind.max().item()], abs=1e-5)
        maps = grad_cam(model, IMAGES[:3], labels[:3], "1.2")
        assert torch.equal(pixels(row["views"][1]["png"]), overlay(IMAGES[i], maps[i]))


def test_channels_that_the_layer_changes_most(filled):
    called = filled("run_page")
    layer, net = flat(60.0), network(15)
    model = nn.Sequential(layer, net)
    run_page(model, layer, IMAGES, NAMES, title="t")
    _, values = called()
    with torch.no_grad():
        plain_maps, active = net[0](IMAGES[:2] / 255), net[0](layer(IMAGES[:2] / 255))
    both = torch.stack([plain_maps, active])
    low, high = both.amin((0, 3, 4)), both.amax((0, 3, 4))
    change = ((active - plain_maps).abs().mean((2, 3)) / (high - low)).mean(0)
    chosen = sorted(change.argsort(descending=True)[:12].tolist())
    assert [row["channels"] for row in values["grids"]] == [", ".join(map(str, chosen))] * 2
    for i, row in enumerate(values["grids"]):
        for name, maps in (("without the layer", plain_maps), ("with it", active)):
            grid = pixels(row["pictures"][name])
            assert grid.shape == (3, 3 * 31 - 1, 4 * 31 - 1)
            # The sixth channel shown is the second of the second row.
            c = chosen[5]
            wanted = (maps[i, c] - low[i, c]) / (high[i, c] - low[i, c])
            found = grid[0, 31:61, 31:61] / 255
            assert (found - wanted).abs().max() < 0.003
    assert values["labelled"] is values["compared"] is False
    assert (values["facts"], values["bounded"], values["effect"]["bounded"]) == ({}, False, None)
    assert values["effect"]["plot"] is None
    assert [len(values[name]) for name in ("grids", "cams")] == [2, 4]
    assert [view["right"] for row in values["cams"] for view in row["views"]] == [None] * 8
    # One map each: side by side.
    ((name, maps),) = values["tables"]
    assert (name, [each.caption for each in maps]) == ("learned steps", ["luma", "chroma"])


def test_modules_that_are_asked_for(filled):
    called = filled("run_page")
    layer = flat(60.0)
    model = nn.Sequential(layer, network())
    run_page(model, layer, IMAGES, NAMES, title="", feature_module="1.2", cam_module="1.0")
    _, values = called()
    assert (values["feature_module"], values["cam_module"]) == ("1.2", "1.0")


def test_a_page_of_a_layer_inside_and_of_none(filled):
    called = filled("run_page")
    inside = FeatureJPEGLayer(6, torch.full((8, 8), 0.5))
    net = network()
    model = nn.Sequential(nn.Sequential(net[0], inside), *net[1:])
    run_page(model, inside, IMAGES, NAMES, title="t", initial=None)
    _, values = called()
    # The layer itself, where it stands inside.
    assert (values["feature_module"], values["effect"]) == ("0.1", None)
    assert len(values["grids"]) == 2
    run_page(network(), None, IMAGES, NAMES, title="t")
    _, values = called()
    assert (values["layer"], values["tables"], values["grids"]) == (None, [], [])
    assert [[view["way"] for view in row["views"]] for row in values["cams"]] == [
        ["the network"]
    ] * 4
    with pytest.raises(ValueError, match="names must be as many as images, 6, got 5"):
        run_page(network(), None, IMAGES, NAMES[:5], title="t")


def sweep(count=15):
    ranks = torch.tensor([[4] * count, [1] * count, [2] * count])
    ranks[0, 3], ranks[2, 5] = 1, 1
    return QualitySweep(
        qualities=tuple(range(1, count + 1)),
        subsampling="4:2:0",
        ranks=ranks,
        probabilities=0.5 / ranks,
        sizes=torch.arange(1, count + 1).expand(3, -1) * 100,
        original_ranks=torch.tensor([4, 1, 2]),
        original_probabilities=torch.tensor([0.125, 0.5, 0.25]),
    )


def test_a_page_of_qualities(filled):
    called = filled("quality_page")
    images = smooth_images(3, 20, 30)
    found = sweep()
    quality_page(found, images, ["a", "b", "c"], title="t", shown=2)
    ((template,), values) = called()
    assert (template, values["title"], values["count"]) == ("quality_page.html", "t", 3)
    assert (values["facts"], values["sweep"]) == ({}, found)
    assert (values["better"], values["worse"]) == pytest.approx((2 / 3, 0))
    # Eleven of fifteen qualities, both ends among them.
    rows = values["rows"]
    assert [quality for quality, *_ in rows] == [1, 2, 4, 5, 7, 8, 9, 11, 12, 14, 15]
    assert rows[2] == pytest.approx((4, 2 / 3, 8 * 400 / 600))
    assert rows[-1] == pytest.approx((15, 1 / 3, 8 * 1500 / 600))
    assert [each["name"] for each in values["examples"]] == ["a", "c"]
    first = values["examples"][0]
    assert torch.equal(pixels(first["original"]), images[0])
    file = io.BytesIO()
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    picture.save(file, "jpeg", quality=4, subsampling="4:2:0", optimize=True)
    assert torch.equal(pixels(first["best_png"]), pixels(file.getvalue()))
    names = ("rank", "probability", "best", "best_rank", "best_probability")
    assert [first[name] for name in names] == [4, 0.125, 4, 1, 0.5]
    assert [*first["plots"]] == ["rank", "probability, %"]
    quality_page(found, images, ["a", "b", "c"], title="t", facts={"x": "y"})
    _, values = called()
    assert (len(values["examples"]), values["facts"]) == (3, {"x": "y"})
    with pytest.raises(ValueError, match="names must be as many as the sweep's, 3, got 2"):
        quality_page(found, images, ["a", "b"], title="t")


@pytest.mark.parametrize(
    ("rdo", "changed", "order"),
    [
        # Three of each kind at most, then the first.
        (False, ((8, 6), (), (20, 21, 22, 23)), [8, 6, 20, 21, 22, 0]),
        (True, ((8, 6, 7, 9), (4,), ()), [8, 6, 7, 4, 0, 1]),
        (False, ((8,), (2, 4, 6, 9), (30,)), [8, 2, 4, 6, 30, 0]),
    ],
)
def test_a_page_of_what_was_learned(monkeypatch, rdo, changed, order):
    images, names = noise(300, 8), [str(i) for i in range(300)]
    model = HighFrequencyReader()
    one, knots = np.ones((3, 8, 8)), np.array([[0, 9], [2, 1]])
    cost = DistortionModel(one, 0 * one, np.ones((1, 1)), knots, 30.0) if rdo else None
    presets = {
        f"q{quality}": replace(Preset.from_quality(quality, "4:4:4"), distortion=cost)
        for quality in (10, 31)
    }
    asked = spy(monkeypatch, "softjpeg.report.learn_page:evaluate")
    changes = [
        ChangedAnswers("q10", "default q 12", 128, (3, 5, 7, 9), (2,), (0, 1)),
        ChangedAnswers("q31", "default q 35", 128, *changed),
    ]
    spy(monkeypatch, "softjpeg.report.learn_page:changed_answers", lambda points: changes)
    reports = spy(monkeypatch, "softjpeg.report.learn_page:render", lambda report: "the page")
    labels = torch.arange(300) % 2
    options = {"labels": labels, "batch_size": 16, "progress": True}
    assert learn_page(model, images, names, presets, title="t", facts={"a": 1}, **options) == (
        "the page"
    )
    ((_, shown, given), options) = asked[0]
    # The second of the halves, which fill batches; 128 of it.
    start = int(np.flatnonzero([torch.equal(image, shown[0]) for image in images])[0])
    assert start in (144, 150, 152, 160)
    assert torch.equal(shown, images[start : start + 128])
    assert given is presets
    assert torch.equal(options.pop("labels"), labels[start : start + 128])
    assert options == {
        "qualities": sorted({3, 5, 8, 12, 18, 25, 35, 50, 65, 80, 90, 95, 10, 31}),
        "subsampling": "4:4:4",
        "mode": "rdo" if rdo else "hard",
        "batch_size": 16,
        "progress": True,
    }
    (((report,), _),) = reports
    assert (report.title, report.facts, report.changes) == ("t", {"a": "1"}, changes)
    assert [*report.names] == names[start : start + 128]
    assert report.notes[0].startswith("Measured on 128 images of the half that chose")
    assert report.pictures_note == "Images whose answer changed come first."
    # The middle preset's.
    assert [each.name for each in report.pictures] == [names[start + i] for i in order]
    default, learned = report.pictures[0].pairs[0]
    image = shown[8]
    assert (default.encoder, learned.encoder) == ("default q 35", "q31")
    assert default.data == encode(image, Preset.from_quality(35, "4:4:4"))
    assert learned.data == encode(image, presets["q31"], "rdo" if rdo else "hard")
