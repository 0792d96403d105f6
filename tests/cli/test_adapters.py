"""``softjpeg adapt``: every option, said or not, reaches what adapts, with its value."""

import pytest

from helpers.calls import reached
from helpers.small_folder import READ, READ_SO, READING, all_of, fill
from softjpeg import Ladder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


ADAPT = ("adapt", "net.py:small", "photos", "--out", "a.safetensors")
ADAPTED = {
    "preset": None,
    "qualities": (6, 90),
    "mode": "hard",
    "train": "norm",
    "loss": None,
    "labels": None,
    "feature_weight": 3.0,
    "epochs": None,
    "learning_rate": 0.001,
    "batch_size": 32,
    "clean_weight": 0.1,
    "max_clean_drop": 1.0,
    "seed": 0,
    "checkpoint": None,
    "progress": True,
}
ADAPTING = {
    ("--quality", "7..55"): {"qualities": (7, 55)},
    ("--train", "first"): {"train": "first"},
    ("--loss", "net.py:loss"): {"loss": "loss"},
    ("--labels", "labels.csv"): {"labels": [2, 0, 1]},
    ("--feature-weight", "0.5"): {"feature_weight": 0.5},
    ("--epochs", "9"): {"epochs": 9},
    ("--learning-rate", "0.25"): {"learning_rate": 0.25},
    ("--batch-size", "6"): {"batch_size": 6},
    ("--clean-weight", "0.7"): {"clean_weight": 0.7},
    ("--max-clean-drop", "4.5"): {"max_clean_drop": 4.5},
    ("--seed", "8"): {"seed": 8},
    ("--checkpoint", "state.bin"): {"checkpoint": "state.bin"},
}
"""What an option changes of the call that it is for."""


@pytest.mark.parametrize("function", ["adapt", "co_adapt"])
def test_adapting(folder, monkeypatch, function):
    turns = ("--learn-tables", "new.json") if function == "co_adapt" else ()
    words, changed = all_of(ADAPTING)
    for more, change in (((), {}), (words, changed)):
        given, options = reached(monkeypatch, f"softjpeg:{function}", *ADAPT, *turns, *more)
        facts = options.pop("provenance")
        assert given[0] == "Preprocessed"
        assert options == {**ADAPTED, **change}
        assert (facts["network"], facts["count"]) == ("net.py:small", 3)
        assert facts["seed"] == options["seed"]
        assert "preset" not in facts
    ladder = ("--preset", "steps.json", "--mode", "rdo")
    given, options = reached(monkeypatch, f"softjpeg:{function}", *ADAPT, *turns, *ladder)
    assert isinstance(options["preset"], Ladder)
    assert (options["mode"], options["provenance"]["preset"]) == ("rdo", "steps.json")


def test_images_to_adapt_on(folder, monkeypatch):
    said = (*READING, "--crops", "--labels", "labels.csv")
    for words, labels, expected in (
        ((), None, {**READ, "crops": False}),
        (said, "labels.csv", {**READ_SO, "crops": True}),
    ):
        call = reached(monkeypatch, "softjpeg.cli.adapt:load_reader", *ADAPT, *words)
        assert call == (["net.py:small", "photos", labels], expected)


def test_files_of_adapting(folder, monkeypatch):
    words = ("--learn-tables", "t.json", "--checkpoint", "c", "--page", "p.html")
    more = ("--labels", "labels.csv", "--preset", "steps.json")
    call = reached(monkeypatch, "softjpeg.cli.adapt:check_outputs", *ADAPT, *words, *more)
    outputs = {"--out": "a.safetensors", "--learn-tables": "t.json"}
    inputs = ["net.py:small", "photos", "labels.csv", "steps.json"]
    assert call == ([{**outputs, "--checkpoint": "c", "--page": "p.html"}, inputs], {})
