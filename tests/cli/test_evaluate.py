"""``softjpeg evaluate`` and ``softjpeg plot``, end to end on a tiny network."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from helpers.commands import call, refusal
from helpers.html_page import Page
from softjpeg.evaluation import competitors
from softjpeg.presets.ladder import Ladder
from softjpeg.presets.preset import Preset

NETWORK = """
import torch
from torch import nn

def small(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
    net[-1].weight.data *= 40
    net.input_size = 16
    return net

def other():
    return small(1)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six photos with labels, two networks, two presets and a ladder, in the current folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(6):
        pixels = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 16), Image.BICUBIC).save(f"photos/{i}.png")
    rows = "".join(f"{i}.png,{i % 5}\n" for i in range(6))
    (tmp_path / "labels.csv").write_text("file,label\n" + rows)
    (tmp_path / "net.py").write_text(NETWORK)
    coarse, fine = Preset.from_quality(20), Preset.from_quality(70)
    coarse.save("coarse.json")
    fine.save("fine.json")
    bpp = ((0, 1.0), (1, 2.0), (2, 4.0), (3, 9.0))
    default = ((1, 1.0), (50, 3.0), (100, 9.0))
    Ladder((coarse, fine), bpp, default).save("steps.json")
    return tmp_path


def points(folder):
    return json.loads((folder / "points.json").read_text())["points"]


def test_whole(folder):
    result = call(
        *("evaluate", "net.py:small", "photos", "--labels", "labels.csv", "--quality", "5,40,90"),
        *("--preset", "coarse.json", "--preset", "fine.json", "--preset", "steps.json"),
        *("--reader", "net.py:other", "--against", "webp", "--json", "points.json"),
        *("--csv", "points.csv", "--plot", "curves.svg"),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    found = points(folder)
    names = [p["name"] for p in found if p["reader"] == "net.py:small"]
    assert names == [
        *("uncompressed", "coarse", "fine", "steps q 5", "steps q 40", "steps q 90"),
        *(f"default {s} q {q}" for s in ("4:2:0", "4:4:4") for q in (5, 40, 90)),
        *("webp q 5", "webp q 40", "webp q 90"),
    ]
    assert names == [p["name"] for p in found if p["reader"] == "net.py:other"]
    curves = {p["curve"] for p in found}
    assert curves == {"", "learned", "steps", "default 4:2:0", "default 4:4:4", "webp"}
    with Image.open("photos/3.png") as photo:
        buffer = io.BytesIO()
        photo.convert("RGB").save(buffer, "webp", quality=40)
    webp = next(p for p in found if p["name"] == "webp q 40")
    assert webp["images"]["bytes"][3] == len(buffer.getvalue())
    rows = list(csv.DictReader((folder / "points.csv").read_text().splitlines()))
    assert [(r["name"], r["reader"]) for r in rows] == [(p["name"], p["reader"]) for p in found]
    # Drawn again from the numbers alone.
    for name in ("again.svg", "page.html"):
        assert call("plot", "points.json", "--out", name).exit_code == 0
    assert (folder / "again.svg").read_bytes() == (folder / "curves.svg").read_bytes()
    page = Page((folder / "page.html").read_text())
    assert page.open == []
    assert all(link.startswith("#") for link in page.links)
    for text in (result.stdout, page.text):
        assert "webp" in text
        assert "net.py:other" in text
        assert "BD-rate" in text


def test_options_reach_the_files(folder):
    words = ("evaluate", "net.py:small", "photos", "--quality", "30", "--json", "points.json")
    options = ("--subsampling", "4:2:2,gray", "--limit", 2, "--plot", "curves.png")
    assert call(*words, *options).exit_code == 0
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    found = points(folder)
    assert [p["subsampling"] for p in found] == ["4:4:4", "4:2:2", "gray"]
    assert len(found[0]["images"]["bytes"]) == 2
    preset = Preset(*(np.full((8, 8), 25),) * 2, hardness=4.0)
    preset.save("soft.json")
    sampled = []
    for seed in (1, 1, 2):
        more = ("--preset", "soft.json", "--mode", "probabilistic", "--seed", seed)
        assert call(*words, *more).exit_code == 0
        sampled.append(points(folder)[1])
    assert sampled[0] == sampled[1]
    assert sampled[0]["images"] != sampled[2]["images"]
    assert sampled[0]["mode"] == "probabilistic"


def test_what_files_cost_the_eye(folder):
    command = ["evaluate", "net.py:small", "photos", "--quality", "10,50,90"]
    command += ["--preset", "steps.json", "--ssim", "--json", "points.json", "--plot", "page.html"]
    result = call(*command)
    assert result.exit_code == 0, result.output
    assert "SSIM" in result.stdout
    by_name = {p["name"]: p["ssim"] for p in points(folder)}
    assert by_name["uncompressed"] == 1
    assert by_name["default 4:2:0 q 10"] < by_name["default 4:2:0 q 90"] < 1
    assert "BD-rate at equal SSIM" in (folder / "page.html").read_text()


def test_recode_makes_both_sides_smaller(folder):
    words = ("evaluate", "net.py:small", "photos", "--preset", "fine.json", "--quality", "30")
    sizes = {}
    for how in ((), ("--recode", "compact")):
        assert call(*words, *how, "--json", "points.json").exit_code == 0
        sizes[how] = {p["name"]: p["bpp"] for p in points(folder)[1:]}
    plain, compact = sizes.values()
    assert plain.keys() == compact.keys()
    assert all(compact[name] < plain[name] for name in plain)


def test_competitors_that_fail_are_a_line_each_and_the_rest_goes_on(folder, monkeypatch):
    def broken(image):
        raise RuntimeError("out of\nluck")

    webp = competitors.COMPETITORS["webp"]
    picked = {
        "webp": webp,
        "learner": competitors.Competitor("learner", "", "", "x:x", needs=("images",)),
        "bad": competitors.Competitor("bad", "", "", "other_formats:by_quality"),
    }
    plain = competitors.Competitor.curve

    def curve(self, context):
        return {"bad one": broken} if self.name == "bad" else plain(self, context)

    monkeypatch.setattr(competitors, "COMPETITORS", picked)
    monkeypatch.setattr(competitors.Competitor, "curve", curve)
    result = call(
        *("evaluate", "net.py:small", "photos", "--against", "all", "--quality", "10,80"),
        *("--subsampling", "4:4:4", "--json", "points.json"),
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "softjpeg: learner needs learning images",
        "softjpeg: bad one: out of luck",
    ]
    assert [p["name"] for p in points(folder)][-2:] == ["webp q 10", "webp q 80"]


def test_presets_of_one_name_are_told_apart_by_their_paths(folder):
    (folder / "more").mkdir()
    Preset.from_quality(60).save("more/fine.json")
    presets = ("--preset", "fine.json", "--preset", "more/fine.json", "--json", "points.json")
    assert call("evaluate", "net.py:small", "photos", *presets, "--quality", "30").exit_code == 0
    assert [p["name"] for p in points(folder)][1:3] == ["fine.json", "more/fine.json"]


def test_bad_input(folder):
    words = ("evaluate", "net.py:small", "photos")
    assert refusal(*words, "--quality", "10,x") == (
        "--quality must be integers with commas between, got '10,x'"
    )
    for option in ("--json", "--csv", "--plot"):
        assert refusal(*words, option, "absent/x.json") == (
            f"{option} absent/x.json: the folder absent does not exist"
        )
    assert refusal(*words, "--plot", "x.gif", "--quality", "5") == (
        "a plot must end in .html, .png, .svg, got 'x.gif'"
    )
    assert refusal(*words, "--preset", "x.json").startswith("x.json is neither a file nor ")
    assert "got 'zip'" in refusal(*words, "--against", "webp,zip")
    assert "got '4:1:1'" in refusal(*words, "--quality", "5", "--subsampling", "4:1:1")
    assert refusal(*words, "--quality", "5", "--reader", "absent.py:f") == (
        "network file absent.py does not exist"
    )
    (folder / "x.json").write_text("{}")
    assert "x.json does not hold measured points" in refusal("plot", "x.json", "--out", "x.png")
