"""Every kind of page in real headless Chromium: two widths, light and dark, audited by axe-core."""

import os

import pytest
import torch

from helpers.browser import SCHEMES, WIDTHS, chromium, findings, overflow, watched
from helpers.images import photos
from helpers.networks import linear_reader, texture_reader
from helpers.rate_points import points
from softjpeg.adaptation.adapt import adapt
from softjpeg.codec.file_sizes import equal_bytes_quality
from softjpeg.codec.image import encode
from softjpeg.evaluation.gain import gains
from softjpeg.evaluation.qualities import sweep_qualities
from softjpeg.evaluation.rate_accuracy import evaluate
from softjpeg.evaluation.robustness.points import Check, RobustnessPoint
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.wrapping import wrap
from softjpeg.presets.preset import Preset
from softjpeg.report.adapt_page import adapt_page
from softjpeg.report.html import Report, render
from softjpeg.report.learn_page import learn_page
from softjpeg.report.pictures import picture
from softjpeg.report.quality_page import quality_page
from softjpeg.report.rate_curves import curves_page
from softjpeg.report.robustness_plot import robustness_page
from softjpeg.report.run_page import run_page

for package in ("jinja2", "matplotlib"):
    pytest.importorskip(package, reason="the pages need softjpeg[report]")

FACTS = {"network": "timm:a-network-with-quite-a-long-name@and/a/file.safetensors", "seed": "0"}


def comparison():
    images, preset = photos(3, 64), Preset.from_quality(37)
    quality = equal_bytes_quality(images, preset)
    pair = [
        (f"default q {quality}", encode(images[0], Preset.from_quality(quality))),
        ("mine", encode(images[0], preset)),
    ]
    shown = picture(linear_reader(64, 8, 5), "noise", images[0], [pair], "class {}".format)
    measured = points(top1=0.25)
    names = {p.name for p in measured}
    return render(
        Report(
            "A comparison",
            measured,
            {name: preset for name in names},
            ["One note."],
            [shown],
            "All of them.",
            FACTS,
            {"learning": (12.3, 20.0)},
        )
    )


def qualities():
    images = photos(3, 32)
    sweep = sweep_qualities(linear_reader(32, 8, 5), images, torch.tensor([0, 1, 2]))
    return quality_page(sweep, images, ["a", "b", "c"], title="Qualities", facts=FACTS)


def run():
    layer = JPEGLayer()
    body = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1))
    network = wrap(body.append(torch.nn.Flatten()), layer, [0.5] * 3, [0.5] * 3)
    return run_page(network, layer, photos(3, 32), ["a", "b", "c"], title="A run", facts=FACTS)


def adapting():
    images, norm = photos(40, 32), torch.nn.BatchNorm2d(8)
    network = texture_reader(norm, images)
    adapter = adapt(network, images, qualities=(5, 20), epochs=20, learning_rate=0.02)
    text = adapt_page(adapter, title="An adapter")
    gain, error = adapter.provenance["gain"]
    assert f"{100 * gain:.1f} ± {100 * error:.1f} % of what" in text
    for figure in adapter.provenance["figures"]:
        assert f"<td>{figure['adapted']:,.4f}</td>" in text
    return text


def learning():
    # Nothing in them to break a line at.
    names = [f"folder_of_a_name_{'x' * 40}_{i:04}.png" for i in range(24)]
    presets = {f"mine {q / 100} bpp": Preset.from_quality(q) for q in (20, 37)}
    network, options = linear_reader(64, 8, 5), {"title": "Learned", "facts": FACTS}
    return learn_page(network, photos(24, 64), names, presets, **options)


def evaluating():
    images = photos(6, 32)
    readers = {name: linear_reader(32, 8, 5, seed) for seed, name in enumerate(("one", "two"))}
    curves = {"mine": {f"mine q {q}": Preset.from_quality(q, "4:4:4") for q in (20, 50)}}
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    measured = evaluate(readers, images, curves, labels=labels, qualities=[10, 40, 80], ssim=True)
    return curves_page(measured, gains(measured, resamples=20), title="Curves", facts=FACTS)


def attacking():
    measured = [
        RobustnessPoint(network, seed, attack, eps, 0.8 / (1 + eps + seed / 9), 50)
        for network in ("baseline", FACTS["network"])
        for seed in (0, 1)
        for attack, strengths in (("none", [0]), ("fgsm", [1, 2, 4]), ("pgd", [1, 2, 4]))
        for eps in strengths
    ]
    checks = {
        "baseline": [
            Check("one-step attacks", 0.1, 0.2, True, "They are no stronger than iterated ones."),
            Check(
                "gradient noise", 0.9, 0.5, False, "A sentence that is long enough to be broken."
            ),
        ]
    }
    return robustness_page(measured, checks, title="Attacks", facts=FACTS)


PAGES = {
    page.__name__: page
    for page in (adapting, attacking, comparison, evaluating, learning, qualities, run)
}


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_serves_everyone(browser, kind, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGES[kind](), encoding="utf-8")
    shots = os.environ.get("SOFTJPEG_SCREENSHOTS")
    for width in WIDTHS:
        for scheme in SCHEMES:
            page, errors = watched(browser, width, scheme)
            page.goto(path.as_uri())
            if shots:
                page.screenshot(path=f"{shots}/{kind}-{width}-{scheme}.png", full_page=True)
            assert findings(page) == []
            assert overflow(page) <= 0
            assert errors == []
            page.close()


def test_a_page_prints_in_the_light_and_within_the_paper(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(comparison(), encoding="utf-8")
    paper = "getComputedStyle(document.body).backgroundColor"
    cell = "getComputedStyle(document.querySelector('.heat td')).printColorAdjust"
    # The width of A4 between margins of a centimetre.
    page, _ = watched(browser, 718, "dark")
    page.goto(path.as_uri())
    assert page.evaluate(paper) != "rgb(255, 255, 255)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert page.evaluate(cell) == "exact"
    assert overflow(page) <= 0
    shots = os.environ.get("SOFTJPEG_SCREENSHOTS")
    if shots:
        page.screenshot(path=f"{shots}/print.png", full_page=True)
