import base64
import io
import re
from importlib.metadata import version

import pytest
import torch
from PIL import Image

from helpers.html_page import Page
from helpers.networks import linear_reader
from helpers.rate_points import points
from softjpeg.presets.preset import Preset
from softjpeg.report.environment import environment
from softjpeg.report.html import Report, render
from softjpeg.report.pictures import picture

pytest.importorskip("jinja2", reason="the report needs softjpeg[report]")
pytest.importorskip("matplotlib", reason="the report needs softjpeg[report]")


def full_report(top1=0.25):
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "jpeg")
    pair = (("default q 30", buffer.getvalue()), ("mine <b>", buffer.getvalue()))
    return Report(
        title="A & B",
        points=points(top1=top1),
        presets={"mine <b>": Preset.from_quality(37)},
        notes=["One note."],
        pictures=[picture(linear_reader(16, 8, 5), "red square", image, [pair], "class {}".format)],
        pictures_note="All of them.",
        facts={"seed": "0"},
        seconds={"learning": (12.34, 20.0)},
    )


def test_page_is_well_formed_and_needs_nothing_beside_it():
    page = Page(render(full_report()))
    assert page.open == []
    assert page.links
    for link in page.links:
        assert link.startswith(("data:image/", "#"))
    assert not re.search(r"@import|url\((?!#)", page.text)


def test_pictures_are_the_files_themselves():
    report = full_report()
    versions = [report.pictures[0].original, *report.pictures[0].pairs[0]]
    found = Page(render(report)).images
    assert len(found) == len(versions)
    for link, shown in zip(found, versions, strict=True):
        head, data = link.split(",")
        assert head == f"data:{shown.media_type};base64"
        assert base64.b64decode(data) == shown.data
        with Image.open(io.BytesIO(shown.data)) as image:
            assert image.size == (16, 16)


def test_numbers_are_shown():
    text = Page(render(full_report())).text
    saved = 1 - 1.5 / 2  # log-log between (1, 0.4) and (4, 0.1)
    for words in (f"+{100 * saved:.1f}", "81.2", "54.2", "25.0", "0.200", "1.500", "12.3 (20.0)"):
        assert words in text
    assert str(Preset.from_quality(37).luma[7, 7]) in text
    assert "A & B" in text
    assert "mine <b>" in text
    assert "One note." in text


@pytest.mark.parametrize("top1", [None, 0.25])
def test_top1_is_shown_where_labels_are(top1):
    text = Page(render(full_report(top1))).text
    assert ("Top-1" in text) == (top1 is not None)


@pytest.mark.parametrize(
    "report",
    [
        Report("empty", points=[]),
        Report("defaults only", points=[p for p in points() if p.mode == "default"]),
        Report("no default", points=points()[:2]),
        Report("lossless", points=points(learned_kl=0.0)),
    ],
    ids=lambda report: report.title,
)
def test_pages_of_little(report):
    assert Page(render(report)).open == []


def test_page_is_the_same_every_time():
    assert render(Report("a", points=points())) == render(Report("a", points=points()))


def test_curves_follow_the_page_between_light_and_dark():
    page = render(Report("a", points=points()))
    svg = page[page.index("<svg") : page.rindex("</svg>")]
    assert "var(--accent)" in svg
    assert not re.search(r"(fill|stroke): #", svg)


def test_picture_marks_the_answers_that_differ():
    model, image = linear_reader(16, 8, 5), torch.zeros(3, 16, 16, dtype=torch.uint8)
    files = {}
    for color in ("black", "white", "red", "blue", "lime", "yellow"):
        buffer = io.BytesIO()
        Image.new("RGB", (16, 16), color).save(buffer, "png")
        files[color] = buffer.getvalue()
    shown = picture(model, "black", image, [(("a", files["black"]), (c, files[c])) for c in files])
    assert shown.original.agrees
    for default, other in shown.pairs:
        assert default.agrees
        assert default.answer == shown.original.answer
        assert other.agrees == (other.answer == shown.original.answer)
    assert not all(other.agrees for _, other in shown.pairs)


def test_environment_names_versions():
    assert f"torch {version('torch')}" in environment()["versions"]
