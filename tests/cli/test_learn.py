"""``softjpeg learn``: every option, said or not, reaches what learns, with its value."""

import json
from pathlib import Path

import pytest

import softjpeg
from helpers.calls import plain, reached, spy
from helpers.commands import call, refusal
from helpers.images import smooth_image
from softjpeg.cli import learn as _  # noqa: F401
from softjpeg.presets.preset import Preset
from softjpeg.report.learn_page import shown_presets

NETWORK = """
import torch
from torch import nn

class Reader(nn.Sequential):
    pass

class Other(Reader):
    pass

def small(kind=Reader, side=16):
    torch.manual_seed(0)
    net = kind(nn.AvgPool2d(side // 2), nn.Flatten(), nn.Linear(12, 5))
    net.input_size, net.resize = side, 20
    return net

def other():
    return small(Other)

def large():
    return small(Other, 24)

def loss(outputs, targets):
    return (outputs - targets).square().mean(1)
"""

LEARN = ("learn", "net.py:small", "photos", "--out", "new.json")
SAID = {
    "loss": None,  # What learning takes for KL.
    "worst_case": False,
    "subsampling": "4:2:0",
    "short_side": None,
    "center": None,
    "mode": "hard",
    "method": "measured",
    "rounds": 1,
    "batch_size": 32,
    "seed": 0,
    "checkpoint": None,
    "progress": True,
    "say": "echo",
    "labels": None,
}
GOAL = dict.fromkeys(("target_bpp", "target_bytes", "max_drop", "rate_weight"))
OPTIONS = {
    ("--loss", "net.py:loss"): {"loss": "loss"},
    ("--worst-case",): {"worst_case": True},
    ("--subsampling", "auto"): {"subsampling": "auto"},
    ("--short-side", "123"): {"short_side": 123},
    ("--center", "0.75"): {"center": 0.75},
    ("--mode", "rdo"): {"mode": "rdo"},
    ("--method", "backprop"): {"method": "backprop"},
    ("--rounds", "3"): {"rounds": 3},
    ("--batch-size", "7"): {"batch_size": 7},
    ("--seed", "5"): {"seed": 5},
    ("--checkpoint", "state.bin"): {"checkpoint": "state.bin"},
    ("--labels", "labels.csv"): {"labels": [2, 0, 1]},
}
READ = {
    "size": None,
    "resize": None,
    "crops": False,
    "limit": None,
    "seed": 0,
    "follow_links": False,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three photos with labels, and networks, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(3):
        smooth_image(30, 40, i).save(f"photos/{i}.png")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,2\n1.png,0\n2.png,1\n")
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


@pytest.mark.parametrize(
    ("goal", "value"),
    [
        (("--target-bpp", "0.6"), {"target_bpp": 0.6}),
        (("--target-bytes", "900"), {"target_bytes": 900.0}),
        (("--max-drop", "2"), {"max_drop": 2.0}),
        (("--rate-weight", "0.1"), {"rate_weight": 0.1}),
    ],
)
def test_a_preset(folder, monkeypatch, goal, value):
    every = [word for words in OPTIONS for word in words]
    changed = {name: each for change in OPTIONS.values() for name, each in change.items()}
    for words, expected in (((), SAID), (every, SAID | changed)):
        given, options = reached(monkeypatch, "softjpeg:learn", *LEARN, *goal, *words)
        facts = options.pop("provenance")
        assert (facts["network"], facts["count"]) == ("net.py:small", 3)
        assert facts["seed"] == expected["seed"]
        assert given[0] == "Preprocessed"
        assert len(given) == 2
        assert options == {**expected, **GOAL, **value}


@pytest.mark.parametrize(
    ("words", "qualities"),
    [
        (("--ladder",), (5, 10, 20, 35, 50, 75, 90)),
        (("--qualities", "1,100"), (1, 100)),
        (("--ladder", "--qualities", "20"), (20,)),
    ],
)
def test_a_ladder(folder, monkeypatch, words, qualities):
    every = [word for option in OPTIONS for word in option]
    changed = {name: each for change in OPTIONS.values() for name, each in change.items()}
    for more, expected in (((), SAID), (every, SAID | changed)):
        _given, options = reached(monkeypatch, "softjpeg:learned_ladder", *LEARN, *words, *more)
        options.pop("provenance")
        assert options == {**expected, "qualities": qualities}


def test_what_is_read(folder, monkeypatch):
    goal = ("--target-bpp", 1)
    said = {
        **{"size": 12, "resize": 18, "crops": True, "limit": 2, "seed": 4, "follow_links": True},
    }
    words = ("--size", 12, "--resize", 18, "--crops", "--limit", 2, "--seed", 4, "--follow-links")
    for more, labels, expected in (
        ((), None, READ),
        ((*words, "--labels", "folders"), "folders", said),
    ):
        given, options = reached(
            monkeypatch, "softjpeg.cli.learn:load_reader", *LEARN, *goal, *more
        )
        assert (given, options) == (["net.py:small", "photos", labels], expected)


def test_several_networks(folder, monkeypatch):
    words = ("--target-bpp", 1, "--also", "net.py:other", "--also", "net.py:large")
    given, options = reached(monkeypatch, "softjpeg:learn", *LEARN, *words)
    assert given[0] == ["Preprocessed"] * 3
    assert options["provenance"]["networks"] == ["net.py:small", "net.py:other", "net.py:large"]
    # Crops have one size, to which each network's own is made.
    given, _options = reached(monkeypatch, "softjpeg:learn", *LEARN, *words, "--crops")
    assert given[0] == ["Reader", "Other", "Resized"]
    assert given[1] == (3, 3, 16, 16)
    _given, options = reached(monkeypatch, "softjpeg:learn", *LEARN, *words[:2])
    assert "networks" not in options["provenance"]


@pytest.mark.parametrize(
    ("value", "accepted"), [("0", False), ("1", True), ("100", True), ("101", False)]
)
def test_qualities_are_from_1_to_100(folder, monkeypatch, value, accepted):
    words = (*LEARN, "--qualities", f"50,{value}")
    if accepted:
        assert reached(monkeypatch, "softjpeg:learned_ladder", *words)
    else:
        assert refusal(*words) == f"--qualities must be from 1 to 100, got {value}"


def test_inputs_and_outputs_are_checked_together(folder, monkeypatch):
    more = ("--also", "net.py:other", "--labels", "labels.csv", "--loss", "net.py:loss")
    files = ("--checkpoint", "state.bin", "--page", "new.html")
    given, options = reached(
        monkeypatch, "softjpeg.cli.learn:check_outputs", *LEARN, "--ladder", *more, *files
    )
    outputs = {"--out": "new.json", "--checkpoint": "state.bin", "--page": "new.html"}
    inputs = ["net.py:small", "net.py:other", "photos", "labels.csv", "net.py:loss"]
    assert (given, options) == ([outputs, inputs], {})


def test_a_page_of_the_presets(folder, monkeypatch):
    rungs = tuple(Preset.from_quality(quality) for quality in (10, 60))
    bpp = ((0, 0.1), (1, 1.0), (2, 2.0), (3, 8.0))
    ladder = softjpeg.Ladder(rungs, bpp, ((1, 0.1), (50, 1.0), (100, 8.0)))
    spy(monkeypatch, "softjpeg:learned_ladder", lambda *words, **options: ladder)
    pages = spy(monkeypatch, "softjpeg.report.learn_page:learn_page")
    words = ("--ladder", "--page", "p.html", "--labels", "labels.csv", "--batch-size", 2)
    result = call(*LEARN, *words)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "wrote new.json: a preset for every quality from 1 to 100\nwrote p.html\n"
    )
    ((reader, images, names, presets), options) = pages[0]
    assert plain(reader) == "Preprocessed"
    assert [tuple(image.shape) for image in images] == [(3, 30, 40)] * 3
    assert names == ("0.png", "1.png", "2.png")
    assert list(presets) == list(shown_presets(rungs, "new"))
    facts = options["facts"]
    assert facts["images"] == "photos"
    assert plain({**options, "facts": 0}) == {
        "title": "softjpeg learn net.py:small",
        "facts": 0,
        "labels": [2, 0, 1],
        "batch_size": 2,
        "progress": True,
    }
    assert "softjpeg learn net.py:small" in Path("p.html").read_text()
    assert json.loads(Path("new.json").read_text())
