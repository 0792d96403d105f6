"""A network over all JPEG qualities: against Pillow's own files and sorting, image by image."""

import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from helpers.html_page import Page
from helpers.images import smooth_images
from softjpeg.evaluation.qualities import QualitySweep, save_json, sweep_qualities
from softjpeg.report.quality_page import quality_page
from softjpeg.report.quality_plots import accuracy_plot, probability_plot, rank_plot

QUALITIES = (3, 40, 95)


def network():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 7, 5), nn.Flatten(), nn.Linear(576, 9)
    ).eval()


def brute_force(model, image, label):
    """(rank, probability) by sorting."""
    with torch.no_grad():
        logits = model(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0].numpy()
    shares = np.exp(logits - logits.max())
    rank = list(np.argsort(-logits)).index(label) + 1
    return rank, shares[label] / shares.sum()


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_every_number_is_that_of_a_real_file(subsampling):
    model, images, labels = network(), smooth_images(4, 35, 46), torch.tensor([0, 8, 3, 3])
    sweep = sweep_qualities(
        model, images, labels, qualities=QUALITIES, subsampling=subsampling, batch_size=3
    )
    assert sweep.qualities == QUALITIES
    for i, (pixels, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        array = pixels.permute(1, 2, 0).numpy()
        rank, probability = brute_force(model, array, label)
        assert sweep.original_ranks[i] == rank
        assert sweep.original_probabilities[i].item() == pytest.approx(probability, rel=1e-4)
        for column, quality in enumerate(QUALITIES):
            file = io.BytesIO()
            options = {"quality": quality, "subsampling": subsampling, "optimize": True}
            Image.fromarray(array).save(file, "jpeg", **options)
            with Image.open(file) as decoded:
                rank, probability = brute_force(model, np.array(decoded), label)
            assert sweep.sizes[i, column] == len(file.getvalue())
            assert sweep.ranks[i, column] == rank
            assert sweep.probabilities[i, column].item() == pytest.approx(probability, rel=1e-4)
    assert len(sweep.ranks.unique()) > 2


def test_qualities_are_put_in_order():
    sweep = sweep_qualities(
        network(), smooth_images(1, 35, 46), torch.tensor([0]), qualities=[90, 10, 90]
    )
    assert sweep.qualities == (10, 90)
    assert sweep.sizes[0, 0] < sweep.sizes[0, 1]


def test_all_hundred_qualities_unless_others_are_asked_for():
    pixels = smooth_images(1, 35, 46)
    sweep = sweep_qualities(network(), pixels, torch.tensor([0]))
    assert sweep.qualities == tuple(range(1, 101))
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    for quality in (1, 100):
        file = io.BytesIO()
        picture.save(file, "jpeg", quality=quality, subsampling="4:2:0", optimize=True)
        assert sweep.sizes[0, quality - 1] == len(file.getvalue())


def known(qualities=(10, 50, 100)):
    """Four images: one gains, one loses, one gains and loses, one gains at quality 100 alone."""
    ranks = torch.tensor([[5, 1, 3], [4, 2, 1], [2, 8, 4], [9, 6, 1]])
    return QualitySweep(
        qualities=qualities,
        subsampling="4:2:0",
        ranks=ranks,
        probabilities=0.9 / ranks.float(),
        sizes=torch.tensor([[100, 200, 400]] * 4),
        original_ranks=torch.tensor([5, 1, 4, 6]),
        original_probabilities=torch.tensor([0.1, 0.8, 0.2, 0.1]),
    )


def test_shares_of_known_ranks():
    sweep = known()
    assert sweep.top1().tolist() == [0, 0.25, 0.5]
    assert sweep.original_top1() == 0.25
    assert sweep.best_top1() == 0.75
    assert sweep.better().tolist() == [True, False, True, False]
    assert sweep.better(below=101).tolist() == [True, False, True, True]
    assert sweep.worse().tolist() == [False, True, True, True]
    assert sweep.gain().tolist() == [5, 1, 2, 6]
    assert [sweep.best_quality(i) for i in range(4)] == [50, 100, 10, 100]


def test_equal_logits_share_the_better_rank():
    class Same(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 5)

    sweep = sweep_qualities(Same(), smooth_images(1, 35, 46), torch.tensor([3]), qualities=[50])
    assert sweep.ranks.item() == 1
    assert sweep.probabilities.item() == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"qualities": [0]}, "qualities must be integers from 1 to 100, got 0"),
        ({"qualities": [50, 101]}, "qualities must be integers from 1 to 100, got 101"),
        ({"qualities": [50.5]}, "qualities must be integers from 1 to 100, got 50.5"),
        ({"qualities": []}, "qualities must be integers from 1 to 100, got none"),
        ({"subsampling": "4:1:1"}, "subsampling must be one of"),
        ({"labels": torch.tensor([9])}, "labels must be below 9 classes, got 9"),
        ({"labels": torch.tensor([-1])}, "labels must be at least 0, got -1"),
        ({"labels": torch.tensor([1, 2])}, r"labels must have shape \(1,\), got \(2,\)"),
        ({"images": torch.zeros(1, 3, 8, 8)}, "images must be uint8"),
    ],
)
def test_refused(options, message):
    given = {
        "images": smooth_images(1, 35, 46),
        "labels": torch.tensor([0]),
        "qualities": [50],
        **options,
    }
    with pytest.raises(ValueError, match=message):
        sweep_qualities(network(), **given)


def test_saved_as_json(tmp_path):
    save_json(known(), tmp_path / "sweep.json", {"network": "a"})
    body = json.loads((tmp_path / "sweep.json").read_text())
    assert body["provenance"] == {"network": "a"}
    assert body["sweep"]["qualities"] == [10, 50, 100]
    assert body["sweep"]["ranks"][3] == [9, 6, 1]


# Figures


def accent_line(svg):
    """The points of the line that is drawn in the accent colour."""
    ElementTree.fromstring(svg)
    lines = re.findall(r'<path d="([^"]*)"[^>]*?stroke: var\(--accent\)', svg)
    longest = max(lines, key=len)
    return [tuple(map(float, p)) for p in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", longest)]


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("jinja2", reason="the report needs softjpeg[report]")
    pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")


@pytest.mark.usefixtures("report")
def test_figures_go_up_where_the_network_does_better():
    sweep = known()
    # Downwards in SVG is up in numbers.
    top1, rank, probability = (
        [y for _, y in accent_line(svg)]
        for svg in (accuracy_plot(sweep), rank_plot(sweep, 0), probability_plot(sweep, 0))
    )
    assert top1[0] > top1[1] > top1[2]
    assert rank[0] > rank[2] > rank[1]
    assert probability[0] > probability[2] > probability[1]


@pytest.mark.usefixtures("report")
def test_figures_keep_their_proportions():
    points = accent_line(accuracy_plot(known()))
    (x0, y0), (x1, y1), (x2, y2) = points
    assert (x1 - x0) / (x2 - x0) == pytest.approx(40 / 90, rel=1e-3)
    assert (y1 - y0) / (y2 - y0) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.usefixtures("report")
def test_page_says_what_was_measured():
    images = smooth_images(4, 35, 46)
    names = ["first", "second & more", "third", "fourth"]
    text = quality_page(known(), images, names, title="A <b>", facts={"seed": "3"}, shown=2)
    page = Page(text)
    assert page.open == []
    assert all(link.startswith(("data:image/png", "#")) for link in page.links)
    assert len(page.images) == 2 * 2
    for words in ("For 50.0 % of 4 images", "For 75.0 % some quality ranks it lower", "A <b>"):
        assert words in page.text
    # The best gains are the fourth's and the first's.
    assert [name for name in names if name in page.text] == ["first", "fourth"]
    assert "rank 6, 10.0 %" in page.text
    assert f"{8 * 200 / (35 * 46):.3f}" in page.text
    assert "seed 3" in page.text


@pytest.mark.usefixtures("report")
def test_page_refuses_other_images():
    with pytest.raises(ValueError, match="images must be as many as the sweep's, 4, got 3"):
        quality_page(known(), smooth_images(3, 35, 46), ["a"] * 4, title="")
