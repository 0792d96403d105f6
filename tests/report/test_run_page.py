"""What pages are filled with, against numbers and pictures by hand."""

import io

import pytest
import torch
from PIL import Image
from torch import nn

from helpers.calls import plain, spy
from helpers.images import as_tensor, noise, smooth_images
from softjpeg.evaluation.qualities import QualitySweep
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.report.feature_maps import grad_cam, overlay
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
