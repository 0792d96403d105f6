"""What the pages say of a trained layer: against closed forms, and pages a browser can read."""

import base64
import io
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.html_page import Page
from helpers.images import noise
from softjpeg import JPEGLayer
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.nn.feature_layer import FeatureJPEGLayer
from softjpeg.report.bound_plot import bound_plot
from softjpeg.report.feature_maps import (
    bypassed,
    channel_grid,
    feature_maps,
    grad_cam,
    overlay,
    spatial_modules,
)
from softjpeg.report.layer_effect import effect_maps, effect_pictures, layer_effect
from softjpeg.report.layer_tables import largest_coefficients, table_maps
from softjpeg.report.run_page import run_page

pytest.importorskip("jinja2", reason="the report needs softjpeg[report]")
pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")


def pixels(png):
    with Image.open(io.BytesIO(png)) as image:
        return np.array(image).astype(int)


def flat(step, **settings):
    return JPEGLayer(torch.full((8, 8), step), torch.full((8, 8), step), **settings)


def network(inplace=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace=inplace),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


# Tables

LIGHTEST = "#f3f7fb"


def brightness(color):
    return sum(bytes.fromhex(color[1:]))


def test_tables_stand_beside_their_initial_ones():
    initial, learned = torch.full((1, 2, 8, 8), 2.0), torch.full((1, 2, 8, 8), 2.0)
    learned[0, 0, 3, 5] = 5.0
    learned[0, 1, 7, 7] = 1.0
    (luma, maps), (chroma, others) = table_maps(learned, initial, levels=127)
    assert (luma, chroma) == ("luma", "chroma")
    captions = ["initial steps", "learned steps", "learned / initial", "bound ±L·q"]
    assert [m.caption for m in maps] == [m.caption for m in others] == captions
    assert [m.rows[3][5][0] for m in maps] == ["2.00", "5.00", "2.50", "635"]
    assert [m.rows[7][7][0] for m in others] == ["2.00", "1.00", ".50", "127"]
    assert brightness(maps[1].rows[3][5][1]) < brightness(maps[1].rows[0][0][1])
    # Colours reach from the least step to the largest one.
    assert others[1].rows[7][7][1] == LIGHTEST
    assert brightness(maps[0].rows[0][0][1]) < brightness(LIGHTEST)
    # What grew is blue, what shrank is red.
    for cell, blue in ((maps[2].rows[3][5], True), (others[2].rows[7][7], False)):
        red, _, last = bytes.fromhex(cell[1][1:])
        assert (last > red) is blue


def test_colours_reach_over_three_decades():
    steps = torch.full((1, 1, 8, 8), 1000.0)
    steps[..., 0, :3] = torch.tensor([0.01, 1.0, 2.0])
    ((_, (learned,)),) = table_maps(steps)
    least, low, more = (color for _, color, *_ in learned.rows[0][:3])
    assert least == low == LIGHTEST
    assert brightness(more) < brightness(low)


@pytest.mark.parametrize(
    ("rounds", "kinds", "names"),
    [
        (1, 1, ["shared"]),
        (2, 2, ["round 1, luma", "round 1, chroma", "round 2, luma", "round 2, chroma"]),
        (1, 32, [f"channel {i}" for i in range(8)]),
    ],
)
def test_every_round_and_kind_has_its_row(rounds, kinds, names):
    steps = 1 + torch.arange(rounds * kinds).view(rounds, kinds, 1, 1).expand(-1, -1, 8, 8)
    rows = table_maps(steps.float())
    assert [name for name, _ in rows] == names
    firsts = [maps[0].rows[0][0][0] for _, maps in rows]
    assert firsts == [f"{i}.00" for i in range(1, len(names) + 1)]


def test_largest_coefficients_are_those_of_the_worst_picture():
    n = np.arange(8)
    for u, v in ((0, 0), (0, 1), (3, 5), (7, 7)):
        scale = (1 if u else 1 / math.sqrt(2)) * (1 if v else 1 / math.sqrt(2)) / 4
        rows, columns = (np.cos((2 * n + 1) * f * math.pi / 16) for f in (u, v))
        basis = scale * np.outer(rows, columns)
        worst = (128 * np.sign(basis) * basis).sum()
        assert largest_coefficients()[u, v].item() == pytest.approx(worst)


def test_a_bound_is_dark_only_where_it_cuts():
    steps = torch.full((1, 1, 8, 8), 100.0)
    steps[..., 0, 0] = 0.01
    bound = table_maps(steps, levels=127)[0][1][-1]
    assert bound.rows[5][5][1] == LIGHTEST
    assert brightness(bound.rows[0][0][1]) < brightness(LIGHTEST) / 2


def test_refused_tables():
    with pytest.raises(ValueError, match=r"tables must have shape .* got \(2, 8, 8\)"):
        table_maps(torch.ones(2, 8, 8))
    with pytest.raises(ValueError, match=r"tables must be positive, got 0.0"):
        table_maps(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match=r"initial must have the tables' shape"):
        table_maps(torch.ones(1, 2, 8, 8), torch.ones(1, 1, 8, 8))


# What the layer removes


def test_huge_steps_remove_everything():
    effect = layer_effect(flat(250.0, quantizer="hard"), (noise(3) // 32) + 112)
    assert effect.energy.max() == 0
    assert effect.zero.min() == 1
    assert effect.bounded is None


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_tiny_steps_keep_everything(subsampling):
    layer = flat(0.01, quantizer="soft", hardness=5.0, subsampling=subsampling)
    effect = layer_effect(layer, noise(3), batch_size=2)
    assert torch.allclose(effect.energy, torch.ones(2, 8, 8).double(), atol=1e-3)
    assert effect.zero.max() < 0.1


def test_the_bound_erases_a_bright_picture():
    white = torch.full((2, 3, 16, 16), 255, dtype=torch.uint8)
    layer = flat(100.0, quantizer="clip", levels=1)
    effect = layer_effect(layer, white)
    # Y = 255 is 127 above mid grey, its DC 8 times that; what is left is 100.
    assert effect.energy[0, 0, 0].item() == pytest.approx((100 / 1016) ** 2, rel=1e-4)
    assert effect.bounded[0, 0, 0] == 1
    assert effect.bounded.sum() == 1
    (shown,), gain = effect_pictures(layer, ["white"], white[:1])
    assert gain == 1
    assert (pixels(shown.original) == 255).all()
    assert np.abs(pixels(shown.shown) - (128 + 100 / 8)).max() <= 1
    assert np.abs(pixels(shown.difference) - (127.5 + 128 + 100 / 8 - 255)).max() <= 1


def test_a_coefficient_at_the_bound_is_not_cut():
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    effect = layer_effect(flat(127.0 * 8, quantizer="hard", levels=1, table_range=(1, 2000)), white)
    assert effect.bounded.max() == 0


def test_zero_is_half_a_step_of_the_last_round_and_the_bound_is_that_of_the_tightest():
    steps = torch.stack([torch.full((8, 8), 1.0), torch.full((8, 8), 90.0)])
    images = noise(3)
    passed = layer_effect(JPEGLayer(steps, steps, quantizer="none", rounds=2), images)
    luma = image_to_coefficients(images / 255, "4:4:4")[0]
    assert torch.allclose(passed.zero[0], (luma.abs() < 45).double().mean((0, 1, 2)))
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    settings = {"quantizer": "clip", "levels": 1, "rounds": 2, "table_range": (1.0, 2000.0)}
    for order in ([100.0, 2000.0], [2000.0, 100.0]):
        bounds = torch.tensor(order).view(2, 1, 1).expand(2, 8, 8)
        assert layer_effect(JPEGLayer(bounds, bounds, **settings), white).bounded[0, 0, 0] == 1


def test_the_spread_is_the_standard_deviation_of_what_comes_in():
    images = noise(5)
    effect = layer_effect(flat(30.0, quantizer="hard"), images, batch_size=2)
    planes = [z.flatten(0, 2).double() for z in image_to_coefficients(images / 255, "4:4:4")]
    for found, z in zip(effect.spread, (planes[0], torch.cat(planes[1:])), strict=True):
        assert np.allclose(found, np.std(z.numpy(), axis=0), rtol=1e-6)


def test_the_plot_has_lines_in_zigzag_order():
    spread, bound = torch.rand(2, 8, 8) + 1, 100 * torch.rand(2, 8, 8) + 100
    bound[0, 2, 0] = 1e-3  # the fourth in zigzag order (T.81, figure A.6)
    svg = bound_plot(spread, bound)
    for name in ("luma, bound ±L·q", "luma, spread", "chroma, bound ±L·q", "chroma, spread"):
        assert name in svg
    paths = re.findall(r'd="(M [^"Zz]*)"', svg)
    lines = [[tuple(map(float, xy.split())) for xy in re.split("[ML]", p)[1:]] for p in paths]
    lines = [line for line in lines if len(line) > 30]
    assert len(lines) == 4
    # Down is up in SVG.
    line = max(lines, key=lambda line: max(y for _, y in line))
    x = max(line, key=lambda xy: xy[1])[0]
    assert 63 * (x - line[0][0]) / (line[-1][0] - line[0][0]) == pytest.approx(3, abs=1e-3)


def test_differences_are_amplified_but_fit():
    layer = flat(12.0, quantizer="hard")
    images = noise(3)
    (first, *_), gain = effect_pictures(layer, ["a", "b", "c"], images)
    assert gain > 1
    assert math.log2(gain) == int(math.log2(gain))
    with torch.no_grad():
        change = layer(images / 255)[0].clamp(0, 1) - images[0] / 255
    expected = (255 * (0.5 + gain * change)).permute(1, 2, 0).numpy()
    assert np.abs(pixels(first.difference) - expected.clip(0, 255)).max() <= 1
    assert np.mean(np.abs(gain * change.numpy()) > 0.5) < 0.02
    unchanged = effect_pictures(flat(1.0, quantizer="none"), ["a"], images[:1], gain=1.0)[0][0]
    assert set(np.unique(pixels(unchanged.difference))) <= {127, 128}


def test_effect_maps_are_percent():
    maps = dict(effect_maps(layer_effect(flat(250.0, quantizer="hard"), noise(3) // 32 + 112)))
    assert [m.caption for m in maps["luma"]] == ["energy kept, %", "at zero, %"]
    assert [m.rows[0][0][0] for m in maps["chroma"]] == ["0", "100"]


def test_refused_pictures():
    with pytest.raises(ValueError, match=r"images must be uint8"):
        layer_effect(flat(1.0), noise(3).float())
    with pytest.raises(ValueError, match=r"names must be as many as images, 3, got 1"):
        effect_pictures(flat(1.0), ["a"], noise(3))


# Feature maps


@pytest.mark.parametrize("inplace", [False, True])
def test_grad_cam_is_cam_behind_global_pooling(inplace):
    model, images = network(inplace), noise(3)
    classes = torch.tensor([4, 0, 2])
    found = grad_cam(model, images, classes, "1")
    with torch.no_grad():
        features = model[1](model[0](images / 255))
    weights = model[4].weight.detach()[classes]
    # Zhou et al. 2016: the class's weights; Grad-CAM is that over the number of positions.
    cam = torch.einsum("nk,nkij->nij", weights, features) / (16 * 16)
    assert torch.allclose(found, cam.clamp_min(0), atol=1e-7)
    assert found.max() > 0


def test_grad_cam_averages_the_gradient_over_positions():
    torch.manual_seed(1)
    conv, linear = nn.Conv2d(3, 4, 1), nn.Linear(4 * 64, 3)
    # Written over in place behind the module: its own output must still be what counts.
    model = nn.Sequential(conv, nn.Hardtanh(-100, 100, inplace=True), nn.Flatten(), linear)
    images, classes = noise(2, 8), torch.tensor([2, 1])
    found = grad_cam(model, images, classes, "0")
    with torch.no_grad():
        features = conv(images / 255)
        weights = linear.weight[classes].view(2, 4, 8, 8).mean((2, 3))
        expected = (weights[:, :, None, None] * features).sum(1).clamp_min(0)
    assert torch.allclose(found, expected, atol=1e-6)


def test_grad_cam_leaves_the_network_as_it_was():
    model = network()
    grad_cam(model, noise(3), torch.tensor([0, 1, 2]))
    assert all(p.grad is None for p in model.parameters())
    assert all(not m._forward_hooks for m in model.modules())


def test_default_module_is_the_last_spatial_one():
    model, images = network(), noise(3)
    assert spatial_modules(model, images) == ["0", "1"]
    classes = torch.tensor([0, 1, 2])
    assert torch.equal(grad_cam(model, images, classes), grad_cam(model, images, classes, "1"))


def test_grad_cam_passes_a_layer_without_gradient():
    model, layer = network(), flat(30.0, quantizer="hard", train_tables=False)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    behind = grad_cam(nn.Sequential(layer, model), noise(3), torch.tensor([0, 1, 2]), "1.1")
    assert behind.max() > 0


def test_bypassed_layer_is_as_if_absent():
    layer, model, images = flat(60.0, quantizer="hard"), network(), noise(3)
    whole = nn.Sequential(layer, model)
    active = feature_maps(whole, images, "1.0")
    with bypassed(layer):
        plain = feature_maps(whole, images, "1.0")
    assert torch.equal(plain, feature_maps(model, images, "0"))
    assert torch.equal(active, feature_maps(whole, images, "1.0"))
    assert (active - plain).abs().max() > 0.01


def test_bypassed_layer_comes_back_after_an_error():
    layer = flat(60.0, quantizer="hard")
    with pytest.raises(KeyError), bypassed(layer):
        raise KeyError
    assert not layer._forward_hooks


def test_feature_maps_are_the_modules_own_in_spite_of_what_writes_over_them():
    model, images = network(inplace=True), noise(3)
    maps = feature_maps(model, images, "0")
    assert maps.min() < 0
    assert torch.equal(maps, model[0](images / 255).detach())


def test_channels_stand_row_by_row():
    features = torch.arange(5.0).view(5, 1, 1).expand(5, 2, 3)
    grid = channel_grid(features, torch.zeros(5), torch.full((5,), 4.0), columns=2)
    assert tuple(grid.shape) == (3, 3 * 3 - 1, 2 * 4 - 1)
    assert [grid[0, 3 * (i // 2), 4 * (i % 2)].item() for i in range(5)] == [0, 64, 128, 191, 255]
    assert (grid[:, 2] == 255).all()


def test_overlay_is_bright_where_the_map_is():
    cam = torch.zeros(4, 4)
    cam[3, 0] = 2.0
    shown = overlay(torch.full((3, 32, 32), 100, dtype=torch.uint8), cam).sum(0)
    assert shown[28:, :4].min() > 2 * shown[:16, 16:].max()
    assert overlay(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(2, 2)).max() < 10


def test_overlay_mixes_grey_and_the_colours_of_matplotlib():
    from matplotlib import colormaps

    image = torch.stack([torch.full((2, 3), value, dtype=torch.uint8) for value in (30, 60, 120)])
    cam = torch.tensor([[0.0, 1.0, 2.0], [4.0, 8.0, 0.5]])
    shown = overlay(image, cam, largest=4.0).permute(1, 2, 0)
    for value, pixel in zip(cam.flatten().tolist(), shown.reshape(6, 3), strict=True):
        color = np.array(colormaps["inferno"](min(value / 4, 1.0))[:3])
        expected = 255 * (0.45 * 70 / 255 + 0.55 * color)
        assert np.abs(pixel.numpy() - expected).max() <= 0.51
    assert torch.equal(overlay(image, cam), overlay(image, cam, largest=8.0))


def test_refused_modules():
    model, classes = network(), torch.tensor([0, 0, 0])
    with pytest.raises(ValueError, match="no module 'conv9'"):
        grad_cam(model, noise(3), classes, "conv9")
    with pytest.raises(ValueError, match=r"module '4' must have an output .* got \(3, 5\)"):
        feature_maps(model, noise(3), "4")
    linear = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    with pytest.raises(ValueError, match="no module whose output is"):
        grad_cam(linear, noise(3), classes)
    model.unused = nn.Conv2d(3, 3, 1)
    model.forward = lambda x: nn.Sequential.forward(model[:5], x)
    with pytest.raises(ValueError, match="module 'unused' has no part"):
        feature_maps(model, noise(3), "unused")


# The page

NAMES = ["a & b", "second", "third"]


def page(model, layer, **options):
    text = run_page(model, layer, noise(3), NAMES, title="run <1>", shown=2, **options)
    found = Page(text)
    assert found.open == []
    # A drawing refers to its own parts.
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in found.links)
    return found


def test_page_of_a_layer_in_front():
    layer = flat(4.0, alpha=5.0, levels=1)
    initial = torch.full((1, 2, 8, 8), 2.0)
    model = nn.Sequential(layer, network())
    found = page(model, layer, initial=initial, facts={"seed": "7"}, class_name="class {}".format)
    # Three of the layer's effect, two grids and three class-activation pictures for each.
    assert len(found.images) == 2 * (3 + 2 + 3)
    files = [base64.b64decode(link.split(",")[1]) for link in found.images]
    # The layer cuts most off: without it a feature map has more contrast.
    plain, active = (pixels(file)[2:14, 2:14].std() for file in files[6:8])
    assert plain > 1.5 * active
    assert (pixels(files[11]) != pixels(files[12])).any()
    words = ("run <1>", "a & b", "JPEGLayer(quantizer='soft'", "seed 7", "Over 3 images", "2.00")
    words = (*words, "bound ±L·q", "luma, spread", "energy kept, %", "without the layer")
    for word in (*words, "1.0", "1.1"):
        assert word in found.text
    assert "third" not in found.text
    changes = "Of the changes, blue ones grew in training"
    assert changes in found.text
    assert changes not in page(model, layer).text
    with torch.no_grad():
        answer = model(noise(3)[:1] / 255).argmax().item()
    assert f"class: class {answer}" in found.text


def test_page_marks_right_and_wrong_answers_where_labels_are():
    layer = flat(30.0)
    model = nn.Sequential(layer, network())
    with torch.no_grad():
        answers = model(noise(3) / 255).argmax(-1)
    right = page(model, layer, labels=answers).text
    assert right.count("✓") >= 2
    wrong = page(model, layer, labels=(answers + 1) % 5).text
    assert wrong.count("✗") >= 2
    assert "true class" in wrong
    assert "✓" not in page(model, layer).text


def test_page_of_a_layer_inside():
    model = network()
    layer = FeatureJPEGLayer(6, torch.full((8, 8), 0.5), per_channel=True)
    model[0] = nn.Sequential(model[0], layer)
    found = page(model, layer)
    assert len(found.images) == 2 * (2 + 3)
    for word in ("channel 0", "channel 5", "The channels of 0.1 that", "FeatureJPEGLayer(6"):
        assert word in found.text
    assert "What the layer removes" not in found.text


def test_page_of_a_network_without_a_layer():
    found = page(network(), None)
    assert len(found.images) == 2 * 2
    assert "without a JPEG layer" in found.text
    assert "Quantization tables" not in found.text


def test_page_of_a_network_without_spatial_modules():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    layer = flat(30.0)
    found = page(nn.Sequential(layer, linear), layer)
    # The layer's own output is spatial.
    assert "Grad-CAM at 0" in found.text
    assert len(page(linear, None).images) == 0


def test_refused_pages():
    with pytest.raises(ValueError, match="names must be as many as images, 3, got 1"):
        run_page(network(), None, noise(3), ["a"], title="")
    with pytest.raises(ValueError, match="labels must be below 5 classes, got 9"):
        page(network(), None, labels=torch.tensor([0, 9, 0]))
