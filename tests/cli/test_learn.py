"""``softjpeg learn``: every option, said or not, reaches what learns, with its value."""

import json
from pathlib import Path

import pytest

import softjpeg
from helpers.calls import plain, reached, spy
from helpers.commands import call, refusal
from helpers.small_folder import READ, READ_SO, READING, all_of, fill
from softjpeg.presets.preset import Preset
from softjpeg.report.learn_page import shown_presets

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


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


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
    every, changed = all_of(OPTIONS)
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
    every, changed = all_of(OPTIONS)
    for more, expected in (((), SAID), (every, SAID | changed)):
        _given, options = reached(monkeypatch, "softjpeg:learned_ladder", *LEARN, *words, *more)
        options.pop("provenance")
        assert options == {**expected, "qualities": qualities}


def test_what_is_read(folder, monkeypatch):
    goal = ("--target-bpp", 1)
    for more, labels, expected in (
        ((), None, {**READ, "crops": False}),
        ((*READING, "--crops", "--labels", "folders"), "folders", {**READ_SO, "crops": True}),
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
