"""``softjpeg evaluate``: every option, said or not, reaches what measures, with its value."""

import pytest

from helpers.calls import plain, reached
from helpers.small_folder import READ, READ_SO, READING, all_of, fill
from softjpeg.evaluation.competitors import COMPETITORS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


EVALUATE = ("evaluate", "net.py:small", "photos")
EVALUATED = {
    "labels": None,
    "qualities": (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95),
    "subsampling": ["4:2:0", "4:4:4"],
    "mode": "hard",
    "encoders": {},
    "change": None,
    "ssim": False,
    "seed": 0,
    "batch_size": 32,
    "progress": True,
}
EVALUATING = {
    ("--quality", "9,44"): {"qualities": (9, 44)},
    ("--subsampling", "4:2:2,gray,4:2:2"): {"subsampling": ["4:2:2", "gray"]},
    ("--mode", "rdo"): {"mode": "rdo"},
    ("--ssim",): {"ssim": True},
    ("--labels", "labels.csv"): {"labels": [2, 0, 1]},
    ("--seed", "3"): {"seed": 3},
    ("--batch-size", "5"): {"batch_size": 5},
}


def test_evaluating(folder, monkeypatch):
    place = "softjpeg.evaluation.rate_accuracy:evaluate"
    words, changed = all_of(EVALUATING)
    for more, change in (((), {}), (words, changed)):
        given, options = reached(monkeypatch, place, *EVALUATE, "--preset", "default", *more)
        assert options.pop("failed") == "failed"
        assert options == {**EVALUATED, **change}
        qualities = options["qualities"]
        assert given[0] == "Preprocessed"
        assert [*given[2]["default"]] == [f"preset default q {q}" for q in qualities]
    others = ("--reader", "net.py:small", "--crops", "--center", "0.5", "--preset", "preset.json")
    given, options = reached(monkeypatch, place, *EVALUATE, "--recode", "progressive", *others)
    assert given[0] == {"net.py:small": "Reader"}
    assert given[1] == (3, 3, 16, 16)
    assert [*given[2]] == ["preset", "preset, center"]
    assert given[2]["preset, center"]["preset, center"].center == 0.5
    step = options["change"].keywords["recode"]
    assert step.keywords == {"header": "compact", "progressive": True}
    options = reached(monkeypatch, place, *EVALUATE, "--recode", "compact", "--quality", 5)[1]
    assert options["change"].keywords["recode"].keywords["progressive"] is False


def test_images_to_evaluate_on(folder, monkeypatch):
    said = (*READING, "--crops", "--labels", "labels.csv")
    for words, labels, expected in (
        ((), None, {**READ, "crops": False}),
        (said, "labels.csv", {**READ_SO, "crops": True}),
    ):
        place = "softjpeg.cli.evaluate:load_reader"
        call = reached(monkeypatch, place, *EVALUATE, "--quality", 9, *words)
        assert call == (["net.py:small", "photos", labels], expected)


def test_what_competitors_are_given(folder, monkeypatch):
    place = "softjpeg.cli.competitors:rivals"
    words = ("--against", "webp,mozjpeg,webp", "--quality", "9,44", "--subsampling", "4:4:4")
    (chosen, context, samplings), _ = reached(monkeypatch, place, *EVALUATE, *words)
    assert [each.name for each in chosen] == ["webp", "mozjpeg"]
    assert (samplings, context.qualities) == (["4:4:4"], (9, 44))
    assert plain([context.model, context.images, context.labels]) == ["Reader", None, None]
    assert (context.center, context.seed, context.progress) == (None, 0, True)
    more = ("--learn-from", "photos", "--labels", "labels.csv", "--seed", 3, "--center", "0.5")
    (_, context, _), _ = reached(monkeypatch, place, *EVALUATE, *words, *more, "--size", 12)
    assert plain([context.images, context.labels]) == [(3, 3, 12, 12), [2, 0, 1]]
    assert (context.center, context.seed) == (0.5, 3)
    (chosen, context, _), _ = reached(monkeypatch, place, *EVALUATE, "--learn-from", "photos")
    assert (chosen, context.images) == ([], None)
    (chosen, _, _), _ = reached(monkeypatch, place, *EVALUATE, "--against", "all")
    assert [each.name for each in chosen] == [name for name in COMPETITORS if name != "default"]
