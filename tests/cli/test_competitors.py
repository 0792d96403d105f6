"""``softjpeg evaluate``: every option, said or not, reaches what measures, with its value."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from helpers.calls import plain, reached
from helpers.commands import call, refusal
from helpers.small_folder import READ, READ_SO, READING, all_of, fill
from softjpeg import Ladder, Preset, encode
from softjpeg.cli import competitors, presets
from softjpeg.evaluation.competitors import COMPETITORS, Context


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


# Competitors


def test_competitors_by_name():
    assert competitors.choose(None) == []
    assert [each.name for each in competitors.choose("webp,default")] == ["webp", "default"]
    assert "default" not in [each.name for each in competitors.choose("all")]
    assert len(competitors.choose("all")) == len(COMPETITORS) - 1
    with pytest.raises(ValueError, match=r"^--against must be all or names of default, .*'png'$"):
        competitors.choose("webp,png")


def test_curves_of_competitors(folder):
    chosen = competitors.choose("default,webp,deepn-jpeg")
    context = Context(qualities=(9, 44), center=0.5)
    run = competitors.rivals(chosen, context, ["4:2:0", "gray", "4:4:4"])
    assert [*run.curves] == [
        *("default 4:2:0", "default 4:2:0, center", "default 4:4:4", "default 4:4:4, center"),
        *("webp", "webp, center"),
    ]
    assert [*run.curves["default 4:4:4, center"]] == [
        *("default q 9 4:4:4, center", "default q 44 4:4:4, center"),
    ]
    assert run.failures == {"deepn-jpeg needs learning images": "deepn-jpeg 4:2:0"}
    one = competitors.rivals(chosen[:1], Context(qualities=(9,)), ["4:4:4"])
    assert {name: [*curve] for name, curve in one.curves.items()} == {"default": ["default q 9"]}
    assert competitors.rivals(chosen, context, ["gray"]).curves == {}


def test_a_competitor_that_fails_is_a_line_and_any_other_an_error(capsys):
    run = competitors.Rivals({"a": {"a q 1": None}})
    run.failed("a q 1", RuntimeError("out of\nluck"))
    run.failed("a q 1", RuntimeError("out of luck"))
    run.note("b", ValueError("b is not there"))
    run.show_failures()
    assert capsys.readouterr().err == "softjpeg: a q 1: out of luck\nsoftjpeg: b is not there\n"
    with pytest.raises(ValueError, match=r"^mine: bad$"):
        run.failed("mine", RuntimeError("bad"))


def test_rates_that_competitors_learn_for():
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (20, 3, 32, 32), generator=random).byte()
    found = competitors._targets(images, (90, 5, 20, 40, 60, 80, 30))
    expected = []
    for quality in (5, 30, 60, 90):
        size = 0
        for image in images[:16]:
            size += len(encode(image, Preset.from_quality(quality)))
        expected.append(8 * size / (16 * 32 * 32))
    assert found == pytest.approx(expected)
    assert len(competitors._targets(images, range(10, 60, 10))) == 5
    asked = []
    chosen = [SimpleNamespace(name="x", jpeg=True, curve=lambda c: asked.append(c) or {})]
    competitors.rivals(chosen, Context(images=images, qualities=(5, 90)), ["4:2:0"])
    assert asked[0].targets_bpp == pytest.approx([expected[0], expected[-1]])
    competitors.rivals(chosen, Context(qualities=(5, 90)), ["4:2:0"])
    assert asked[1].targets_bpp == Context().targets_bpp


def test_what_is_shown_of_points(folder):
    Image.new("RGB", (40, 30)).save("photos/0.png")
    result = call(
        "evaluate", "net.py:small", "photos", "--preset", "steps.json", "--reader", "net.py:other"
    )
    assert result.exit_code == 0, result.output
    assert "Against the better of default JPEG at every rate" in result.stdout
    assert " (read by net.py:other)" in result.stdout
    assert "of agreement at" in result.stdout or "bytes at" in result.stdout
    result = call("evaluate", "net.py:small", "photos", "--quality", 20)
    assert "Against the better" not in result.stdout
    assert "images must be given" in refusal("evaluate", "net.py:small")


# Tables by name


def test_curves_by_name(folder):
    Path("more").mkdir()
    Preset.from_quality(60).save("more/preset.json")
    curves = presets.load_curves(["default", "steps.json", "preset.json", "default"], (9, 44))
    assert [*curves] == ["default", "steps", "preset"]
    assert [*curves["default"]] == ["preset default q 9", "preset default q 44"]
    assert [*curves["steps"]] == ["steps q 9", "steps q 44"]
    at_44 = Ladder.load("steps.json").at(44)
    assert curves["steps"]["steps q 44"].luma.tolist() == at_44.luma.tolist()
    assert isinstance(curves["preset"], Preset)
    twins = ["preset.json", "more/preset.json"]
    assert [*presets.load_curves(twins, ())] == twins
    both = presets.with_centers(curves, 0.5)
    assert [*both] == [*curves, *(f"{name}, center" for name in curves)]
    assert both["preset, center"]["preset, center"].center == 0.5
    assert [*both["steps, center"]] == ["steps q 9, center", "steps q 44, center"]
    assert presets.with_centers(curves, None) == curves


def test_tables_for_all_images(folder):
    def loaded(spec, quality=None, *samplings):
        return presets.load_tables([spec], quality, list(samplings))

    assert loaded("default", "44").luma.tolist() == Preset.from_quality(44).luma.tolist()
    assert loaded("default", "44", "4:4:4").subsampling == "4:4:4"
    assert loaded("preset.json", None, "4:2:2").subsampling == "4:2:2"
    assert loaded("preset.json", None, "gray").subsampling == "4:2:0"
    at_44 = Ladder.load("steps.json").at(44)
    assert loaded("steps.json", "44").luma.tolist() == at_44.luma.tolist()
    with pytest.raises(
        ValueError, match=r"^universal is learned for 4:2:0, got --subsampling 4:4:4$"
    ):
        presets.load_tables(["universal"], None, ["4:4:4"], 900)
    assert presets.load_tables(["default"], None, [], 1).most == 1
    with pytest.raises(ValueError, match="--max-bytes must be at least 1, got 0"):
        presets.load_tables(["default"], None, [], 0)
    plain = loaded("preset.json")
    assert presets.stored_as(plain) is plain
    assert presets.stored_as(plain, "99").short_side == 99
    assert presets.stored_as(plain, None, "0.25").center == 0.25
    small = presets.stored_as(plain, "99", "0.25")
    assert presets.stored_as(small, "keep").short_side is None
    assert presets.stored_as(small, "keep").center == 0.25
    assert presets.stored_as(small, None, "none").center is None


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (presets.stored_side, "keep", None),
        (presets.stored_side, "1", 1),
        (presets.stored_side, "65535", 65535),
        (presets.stored_center, "none", None),
        (presets.stored_center, "1", 1.0),
    ],
)
def test_what_is_stored(read, text, value):
    assert read(text) == read(text, automatic=True) == value
    assert read("auto", automatic=True) == "auto"
    with pytest.raises(ValueError, match=r"must be (keep|none) or .* got 'auto'"):
        read("auto")
    with pytest.raises(ValueError, match=r"must be (keep|none), auto or .* got 'x'"):
        read("x", automatic=True)
