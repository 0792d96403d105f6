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
from softjpeg.evaluation.qualities import sweep_qualities
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.wrapping import wrap
from softjpeg.presets.preset import Preset
from softjpeg.report.adapt_page import adapt_page
from softjpeg.report.html import Report, render
from softjpeg.report.pictures import picture
from softjpeg.report.quality_page import quality_page
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


PAGES = {"adapting": adapting, "comparison": comparison, "qualities": qualities, "run": run}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_serves_everyone(kind, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGES[kind](), encoding="utf-8")
    shots = os.environ.get("SOFTJPEG_SCREENSHOTS")
    with chromium() as browser:
        for width in WIDTHS:
            for scheme in SCHEMES:
                page, errors = watched(browser, width, scheme)
                page.goto(path.as_uri())
                if shots:
                    page.screenshot(path=f"{shots}/{kind}-{width}-{scheme}.png", full_page=True)
                assert findings(page) == []
                assert overflow(page) <= 0
                assert errors == []
