"""The demo's steps on photos and a network that take no time: what it gives to what."""

import io
import json
import re
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from helpers.calls import spy
from helpers.images import as_tensor, smooth_image
from helpers.networks import Thousand
from softjpeg import Preset, encode
from softjpeg.cli import demo_photos, demo_steps
from softjpeg.codec.file_sizes import file_bytes
from softjpeg.models.network import Network
from softjpeg.report.environment import environment

for package in ("foolbox", "skimage", "jinja2", "matplotlib", "timm"):
    pytest.importorskip(package, reason="softjpeg[demo] is not installed")

RATES = ["0.30", "0.50", "0.80"]
LADDER = [Preset.from_quality(quality) for quality in (8, 25, 40)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What a run wrote, and what it called."""
    folder = tmp_path_factory.mktemp("demo")
    found = []
    for i in range(8):
        smooth_image(230 + i, 256, i).save(folder / f"photo_{i}.png")
        found.append(demo_photos.Photo(folder / f"photo_{i}.png", None if i == 2 else 10 + i))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_photos, "find_photos", lambda: found)
        network = Network(Thousand().eval(), "small", (224, 224))
        measured = [SimpleNamespace(reader="small")]
        printed = []
        patch.setattr(
            "rich.console.Console.print", lambda _, *words, **how: printed.append((words, how))
        )
        calls = {
            name: spy(patch, place, *stand_in)
            for name, place, *stand_in in (
                ("load", "softjpeg.models.network:load_network", lambda name: network),
                (
                    *("own", "softjpeg.cli.demo_own_size:own_size_gains"),
                    lambda paths, output, facts: measured,
                ),
                (
                    *("said", "softjpeg.cli.demo_own_size:own_size_sentences"),
                    lambda measured, count: ["first", "second", "third"],
                ),
                (
                    *("learn", "softjpeg.learning.learn_ladder:learn_ladder"),
                    lambda *words, **options: LADDER,
                ),
                ("evaluate", "softjpeg.evaluation.rate_accuracy:evaluate"),
                ("render", "softjpeg.report.html:render"),
                ("table", "softjpeg.evaluation.comparison:table"),
            )
        }
        demo_steps.run(folder / "a" / "out", seed=3)
    return SimpleNamespace(folder=folder / "a" / "out", photos=found, printed=printed, **calls)


def test_it_learns_on_half_of_the_photos(demo):
    assert demo.load == [(("efficientnet-lite0",), {})]
    ((model, images, rates), options) = demo.learn[0]
    crops = demo_photos.learning_crops(demo.photos[1::2], 8, 3)
    assert torch.equal(images, crops.pixels)
    assert isinstance(model, Thousand)
    assert rates == (0.3, 0.5, 0.8)
    facts = options["provenance"]
    expected = {"subsampling": "4:2:0", "batch_size": 8, "seed": 3, "progress": True}
    assert options == {**expected, "provenance": facts}
    assert facts["command"] == "softjpeg demo --out out --seed 3"
    assert facts["network"] == "small"
    assert facts["learned from"] == "32 crops of 4 photos: photo_1, photo_3, photo_5, photo_7"
    assert facts["held out"] == "20 crops of 4 photos: photo_0, photo_2, photo_4, photo_6"
    assert facts["files"] == "4:2:0; Huffman tables optimized for each file, default JPEG's too"
    assert environment().items() <= facts.items()


def test_photos_at_their_own_size_come_first(demo):
    paths = [photo.path for photo in demo.photos]
    facts = demo.learn[0][1]["provenance"]
    assert demo.own == [((paths, demo.folder, facts), {})]
    ((measured, count), _) = demo.said[0]
    assert (measured[0].reader, count) == ("small", 8)


def test_files_of_every_held_out_crop(demo):
    crops = demo_photos.held_out_crops(demo.photos[::2], 5, 3)
    for rate, preset in zip(RATES, LADDER, strict=True):
        assert (
            Preset.load(demo.folder / f"preset-{rate}.json").luma.tolist() == preset.luma.tolist()
        )
        folder = demo.folder / "jpg" / rate
        names = sorted(path.name for path in (folder / "learned").iterdir())
        assert names == sorted(f"{name}.jpg" for name in crops.names)
        for name, pixels in zip(crops.names, crops.pixels, strict=True):
            assert (folder / "learned" / f"{name}.jpg").read_bytes() == encode(pixels, preset)
        sizes = {
            kind: sum(path.stat().st_size for path in (folder / kind).iterdir())
            for kind in ("learned", "default")
        }
        # The quality at which default JPEG has about as many bytes is the preset's own.
        assert sizes["learned"] == sizes["default"] == file_bytes(crops.pixels, preset)


def test_held_out_crops_judge(demo):
    ((model, images, presets), options) = demo.evaluate[0]
    crops = demo_photos.held_out_crops(demo.photos[::2], 5, 3)
    assert isinstance(model, Thousand)
    assert torch.equal(images, crops.pixels)
    assert presets == {f"learned {rate}": each for rate, each in zip(RATES, LADDER, strict=True)}
    assert torch.equal(options["labels"], crops.labels)
    assert {name: options[name] for name in options if name != "labels"} == {
        "qualities": [5, 8, 12, 25, 40, 60, 85],
        "subsampling": "4:2:0",
        "seed": 3,
        "batch_size": 8,
        "progress": True,
    }
    written = json.loads((demo.folder / "points.json").read_text())
    assert written["provenance"]["command"] == "softjpeg demo --out out --seed 3"
    assert len(written["points"]) == 1 + 3 + 7


def test_the_report(demo):
    (((report,), _),) = demo.render
    assert (report.title, report.lead) == ("softjpeg demo", "first")
    assert [*report.presets] == [f"learned {rate}" for rate in RATES]
    assert len(report.points) == 11
    assert report.notes[:2] == ["second", "third"]
    assert report.notes[2] == (
        "Measured with small on 20 crops of 4 photos that were not learned from; top-1 on the 3 "
        "centre crops that have a label. One crop is 5.0 points of agreement and 33 of top-1: "
        "this shows how softjpeg is used, and is too small to rank encoders by."
    )
    assert report.pictures_note == "Every 3rd held-out photo, whatever came of it."
    # Classes 10 and 16 of ImageNet.
    assert [each.name for each in report.pictures] == [
        "photo_0, labelled brambling",
        "photo_6, labelled bulbul",
    ]
    encoders = [[version.encoder for version in pair] for pair in report.pictures[0].pairs]
    assert encoders == [
        ["default q 8", "learned 0.30"],
        ["default q 25", "learned 0.50"],
        ["default q 40", "learned 0.80"],
    ]
    first = report.pictures[1]
    shown = as_tensor(Image.open(io.BytesIO(first.original.data)))
    assert torch.equal(shown, demo_photos.held_out_crops(demo.photos[::2], 5, 3).pixels[15])
    learned = (demo.folder / "jpg/0.30/learned/photo_6-0.jpg").read_bytes()
    assert first.pairs[0][1].data == learned
    assert report.facts["command"].startswith("softjpeg demo")
    parts = ["loading", "own size", "learning", "writing", "evaluating"]
    assert [*report.seconds] == parts
    assert all(wall >= 0 and cpu >= 0 for wall, cpu in report.seconds.values())
    assert "softjpeg demo" in (demo.folder / "report.html").read_text()


def test_what_it_says(demo):
    *words, _table, headline, seconds, last = demo.printed
    assert words == [(("first",), {}), (("second",), {}), (("third",), {})]
    assert demo.table[0][0][1] == "learned here from 32 crops, 20 crops held out"
    # The tables "learned" here are default JPEG's own.
    assert "learned files are 0.0 % larger" in headline[0][0]
    parts = ", ".join(rf"{part} \d+" for part in demo.render[0][0][0].seconds)
    assert re.fullmatch(f"seconds: {parts}", seconds[0][0])
    assert last == ((f"report: {demo.folder / 'report.html'}",), {"soft_wrap": True})


def test_a_part_takes_the_seconds_of_its_clocks(monkeypatch):
    clock = SimpleNamespace(
        perf_counter=iter([5.0, 8.0]).__next__, process_time=iter([1.0, 2.5]).__next__
    )
    monkeypatch.setattr(demo_steps, "time", clock)
    seconds = {}
    with demo_steps._timed(seconds, "part"):
        pass
    assert seconds == {"part": (3.0, 1.5)}
