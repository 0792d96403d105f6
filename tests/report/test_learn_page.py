"""The page of `learn`: whole, self-contained, and what it says is what the files do."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.calls import spy
from helpers.html_page import Page
from helpers.images import noise, photos
from helpers.networks import HighFrequencyReader
from softjpeg import encode
from softjpeg.evaluation.changed_answers import ChangedAnswers
from softjpeg.presets.distortion_model import DistortionModel
from softjpeg.presets.preset import Preset
from softjpeg.report import learn_page as module
from softjpeg.report.learn_page import learn_page, shown_presets

pytest.importorskip("jinja2", reason="the page needs softjpeg[report]")
pytest.importorskip("matplotlib", reason="the page needs softjpeg[report]")

IMAGES = photos(48, 32)
NAMES = [f"folder/{i:02}.png" for i in range(48)]
PRESETS = {
    "coarse": Preset(np.full((8, 8), 90), np.full((8, 8), 99)),
    "fine": Preset(np.full((8, 8), 31), np.full((8, 8), 47)),
}
FACTS = {"network": "net.py:small", "seed": 3}


def page(images=IMAGES, presets=PRESETS, **options):
    return learn_page(
        HighFrequencyReader(), images, NAMES, presets, title="A & B", facts=FACTS, **options
    )


@pytest.mark.parametrize("labels", [None, torch.zeros(48, dtype=torch.int64)])
def test_it_is_whole_and_needs_nothing_beside_it(labels):
    text = page(labels=labels)
    shown = Page(text)
    assert shown.open == []
    assert all(link.startswith(("data:image/", "#")) for link in shown.links)
    for words in ("A & B", "net.py:small", "Measured on 24 images", "bands: 95 % over images"):
        assert words in shown.text
    assert ("Top-1" in shown.text) == (labels is not None)
    # Their tables, and Annex K's beside them.
    assert {"luma, learned", "chroma, learned"} <= set(
        re.findall(r"luma, learned|chroma, l\w+", text)
    )
    assert len(re.findall(r'table aria-label="luma, default q', text)) == 2


def test_only_images_of_the_judging_half_are_shown():
    text = page()
    assert not any(name in text for name in NAMES[:24])
    pictures = re.findall(r"<h3>(folder/\d\d.png)</h3>", text)
    assert len(pictures) == 6
    assert set(pictures) <= set(NAMES[24:])


def test_of_many_images_the_first_of_that_half_are_measured(monkeypatch):
    monkeypatch.setattr(module, "_IMAGES", 5)
    text = page()
    assert "Measured on 5 images" in Page(text).text
    assert {name for name in NAMES if name in text} <= set(NAMES[24:29])
    # Those whose answer changed are named.
    assert any(name in re.sub(r"<h3>.*?</h3>", "", text) for name in NAMES[24:29])


def test_pictures_whose_answer_changed_come_first():
    text = page()
    network = HighFrequencyReader()
    for name, block in re.findall(
        r"<h3>(folder/\d\d.png)</h3>(.*?)</div>\n</div>", text, re.DOTALL
    ):
        original, default, mine = re.findall(r"base64,([\w+/=]+)", block)
        pixels = [
            torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(data)))))
            for data in (original, default, mine)
        ]
        assert torch.equal(pixels[0].permute(2, 0, 1), IMAGES[NAMES.index(name)])
        classes = [int(network(x.permute(2, 0, 1)[None] / 255).argmax()) for x in pixels]
        marks = re.findall(r"[✓✗]", block)
        assert marks == ["✓" if c == classes[0] else "✗" for c in classes]
    assert "✗" in text.partition("<h2>Pictures</h2>")[2].partition("</h3>")[2].partition("<h3>")[0]


def test_photos_of_any_size_and_presets_that_shrink():
    images = [image[:, : 32 - i % 3] for i, image in enumerate(IMAGES)]
    small = {"small": replace(PRESETS["fine"], short_side=16)}

    class AnySize(torch.nn.Module):
        def forward(self, x):
            x = torch.nn.functional.interpolate(x, (32, 32))
            return torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten())(x)

    text = learn_page(AnySize(), images, NAMES, small, title="t", facts={})
    assert Page(text).open == []
    assert "luma, learned" in text


def test_default_tables_that_were_kept_stand_beside_themselves():
    text = page(presets={"kept": Preset.from_quality(20)})
    # Between other qualities, what default JPEG does would be a guess, and a gain or a loss.
    assert "default q 20" in Page(text).text


def test_names_of_presets():
    rungs = [
        replace(p, provenance={"learned": {"bpp": 0.25 * i}})
        for i, p in enumerate(PRESETS.values(), 1)
    ]
    assert list(shown_presets(rungs, "mine")) == ["mine 0.25 bpp", "mine 0.5 bpp"]
    with pytest.raises(ValueError, match="presets must hold at least one, got none"):
        page(presets={})


def test_what_is_stored_is_among_the_facts():
    assert "stored" not in page().partition("How it was made")[2]
    part = replace(PRESETS["fine"], center=0.9)
    text = Page(page(presets={"fine": part})).text
    assert "the middle 0.9 of the shorter side; else means alone" in text
    text = Page(page(presets={"coarse": PRESETS["coarse"], "fine": part})).text
    assert "coarse: all; fine: the middle 0.9 of the shorter side; else means alone" in text


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
