"""Checks of gradients: which attacks are made, with what, and what follows from known answers."""

import json
from functools import partial

import pytest
import torch
from torch import nn

from helpers.calls import spy
from helpers.networks import linear_reader
from softjpeg.evaluation.robustness import accuracy_under_attack, gradient_masking
from softjpeg.evaluation.robustness.gradient_masking import masking_checks
from softjpeg.evaluation.robustness.points import Check, RobustnessPoint, save_json, table
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.nn.wrapping import wrap

IMAGES = torch.arange(40 * 3 * 8 * 8).reshape(40, 3, 8, 8).remainder(251).byte()
LABELS = torch.arange(40) % 4
STANDING = {
    "FGSM": 20,
    "PGD with 2 steps": 22,
    "PGD with 4 steps": 19,
    "PGD with 9 steps": 21,
    "PGD without a random start": 23,
    "PGD with 3 random starts": 35,
    "random search": 18,
    "unbounded": 11,
    "PGD with straight-through gradients": 5,
    "PGD with smooth edges": 6,
    "PGD on the baseline": 7,
}
"""How many of 40 images each attack leaves right, the first ones."""


@pytest.fixture
def made(monkeypatch):
    """The attacks that were made, whose outcome is known beforehand."""
    calls = spy(monkeypatch, "softjpeg.evaluation.robustness.gradient_masking:correct_under", known)
    agreed = (torch.linspace(0.2, 0.6, 5), torch.tensor([0.1, 0.2, 0.5, 0.6, 0.9]))
    compared = spy(
        monkeypatch,
        "softjpeg.evaluation.robustness.gradient_masking:difference_agreement",
        lambda *_, **__: agreed,
    )
    return calls, compared


def known(model, images, _labels, attack, *, source, batch_size):
    name = name_of(attack) if source is model else "PGD on the baseline"
    return torch.arange(len(images)) < STANDING[name]


def name_of(attack):
    """By what it is called with."""
    options, kind = attack.keywords, attack.func.__name__
    if kind == "pgd":
        if options["steps"] == 50:
            return "unbounded"
        if options.get("random_start") is False:
            return "PGD without a random start"
        if options.get("restarts", 1) > 1:
            return "PGD with 3 random starts"
        return f"PGD with {options['steps']} steps"
    return {
        "fgsm": "FGSM",
        "random_search": "random search",
        "bpda": "PGD with straight-through gradients",
        "softened": "PGD with smooth edges",
    }[kind]


def jpeg_reader():
    return wrap(linear_reader(8, 4, 4), JPEGLayer(), [0.5] * 3, [0.5] * 3)


def checks(model=None, **options):
    return masking_checks(
        model or jpeg_reader(),
        IMAGES,
        LABELS,
        **{"eps": 2, "steps": (2, 4, 9), "restarts": 3, "batch_size": 16, **options},
    )


def test_what_each_attack_is_made_with(made):
    calls, _ = made
    model, baseline = jpeg_reader(), linear_reader(8, 4, 4)
    checks(model, baseline=baseline, queries=77, seed=5)
    strength = pytest.approx(2 / 255)
    expected = {
        "FGSM": {"eps": strength},
        **{f"PGD with {n} steps": {"eps": strength, "steps": n} for n in (2, 4, 9)},
        "PGD without a random start": {"eps": strength, "steps": 2, "random_start": False},
        "PGD with 3 random starts": {"eps": strength, "steps": 2, "restarts": 3},
        "random search": {"eps": strength, "queries": 77},
        "unbounded": {"eps": pytest.approx(64 / 255), "steps": 50},
        "PGD with straight-through gradients": {"eps": strength, "steps": 9},
        "PGD with smooth edges": {"eps": strength, "steps": 9},
    }
    seen = [name_of(given[3]) for given, _ in calls]
    assert seen == [*expected, "PGD with 9 steps"]
    for name, (given, options) in zip(seen, calls, strict=True):
        assert given[0] is model
        assert torch.equal(given[1], IMAGES)
        assert torch.equal(given[2], LABELS)
        wanted = {k: v for k, v in given[3].keywords.items() if k != "generator"}
        assert wanted == expected[name]
        assert ("generator" in given[3].keywords) == (name != "FGSM")
        assert options["batch_size"] == 16
    assert [options["source"] for _, options in calls] == [model] * 10 + [baseline]
    assert len({given[3].keywords["generator"] for given, _ in calls[1:]}) == 1


def test_every_attack_begins_with_the_same_draws(monkeypatch):
    drawn = []

    def draws(*words, **options):
        generator = words[3].keywords.get("generator")
        drawn.append(generator and torch.rand(1, generator=generator).item())
        return known(*words, **options)

    spy(monkeypatch, "softjpeg.evaluation.robustness.gradient_masking:correct_under", draws)
    checks(seed=5)
    first = torch.rand(1, generator=torch.Generator().manual_seed(5)).item()
    assert drawn == [None, *[first] * 9]


def test_checks_of_known_answers(made):
    found = {check.name: check for check in checks(baseline=linear_reader(8, 4, 4))}
    assert [*found] == [
        "PGD with 2 steps against FGSM",
        "PGD with 4 steps against PGD with 2 steps",
        "PGD with 9 steps against PGD with 4 steps",
        "PGD with 3 random starts against PGD without a random start",
        "PGD with 9 steps against random search",
        "PGD with 9 steps against PGD with straight-through gradients",
        "PGD with 9 steps against PGD with smooth edges",
        "PGD with 9 steps against PGD on the baseline",
        "2 steps are enough",
        "unbounded strength",
        "gradient in random directions",
        "gradient along its sign",
    ]
    first = found["PGD with 2 steps against FGSM"]
    # Two images more stand, of which chance allows 2·√2.
    assert (first.value, first.passed) == (0.05, True)
    assert first.limit == pytest.approx(2 * 2**0.5 / 40)
    assert first.sentence == (
        "PGD with 2 steps leaves 55.0% right, FGSM leaves 50.0% right; chance allows the first "
        "7.1% more"
    )
    assert found["PGD with 4 steps against PGD with 2 steps"].value == pytest.approx(-3 / 40)
    restarted = found["PGD with 3 random starts against PGD without a random start"]
    assert (restarted.value, restarted.passed) == (0.3, False)
    assert not found["PGD with 9 steps against PGD on the baseline"].passed
    steps = found["2 steps are enough"]
    assert (steps.value, steps.limit, steps.passed) == (pytest.approx(1 / 40), 0.05, True)
    assert steps.sentence == (
        "2 steps leave 55.0% right and 9 steps 52.5%; with more than 5% between them the smaller "
        "number of steps overstates robustness"
    )
    unbounded = found["unbounded strength"]
    assert (unbounded.value, unbounded.limit, unbounded.passed) == (11 / 40, 0.25, False)
    assert unbounded.sentence == (
        "PGD with 50 steps of eps 64/255 leaves 27.5% right; guessing among 4 classes gives 25.0%"
    )


def test_the_loss_against_its_gradient(made):
    _, compared = made
    model = linear_reader(8, 4, 4)
    *_, cosine, rise = checks(model, directions=7)
    # 40 images, 16 at a time.
    for (given, options), (start, stop) in zip(
        compared, ((0, 16), (16, 32), (32, 40)), strict=True
    ):
        assert given[0] is model
        assert torch.equal(given[1], IMAGES[start:stop].float() / 255)
        assert torch.equal(given[2], LABELS[start:stop])
        assert given[3:] == (pytest.approx(2 / 255), 7)
        assert isinstance(options["generator"], torch.Generator)
    assert (cosine.limit, cosine.passed) == (0.5, False)
    assert cosine.value == pytest.approx(0.4)
    assert cosine.sentence == (
        "over steps of 2/255 in 7 random directions the loss changes as its gradient says with a "
        "mean cosine of 0.40; at least 0.5 is expected"
    )
    assert (rise.limit, rise.passed) == (0.25, True)
    assert rise.value == pytest.approx(0.5)
    assert rise.sentence == (
        "over steps of 2/255 along the gradient's sign the loss rises by 0.50 of what the gradient "
        "says, median over images; at least 0.25 is expected"
    )


@pytest.mark.parametrize(("value", "passed"), [(0.5, True), (0.4999, False)])
def test_exactly_what_is_expected_passes(monkeypatch, value, passed):
    spy(
        monkeypatch,
        "softjpeg.evaluation.robustness.gradient_masking:difference_agreement",
        lambda *_, **__: (torch.full((5,), value).double(), torch.full((5,), value / 2).double()),
    )
    spy(monkeypatch, "softjpeg.evaluation.robustness.gradient_masking:correct_under", known)
    *_, cosine, rise = checks()
    assert (cosine.passed, rise.passed) == (passed, passed)


def test_refused():
    for steps in ((), (2, 2), (4, 2)):
        with pytest.raises(ValueError, match="steps must ascend, got"):
            checks(steps=steps)
    with pytest.raises(ValueError, match="directions must be at least 1, got 0"):
        checks(directions=0)
    for function in (masking_checks, accuracy_under_attack.robustness):
        model = linear_reader(8, 4, 4)
        given = model if function is masking_checks else {"a": model}
        with pytest.raises(ValueError, match="images must be uint8"):
            function(given, IMAGES.float() / 255, LABELS)
        with pytest.raises(ValueError, match=r"labels must have shape \(40,\), got \(39,\)"):
            function(given, IMAGES, LABELS[:39])


@pytest.mark.parametrize(
    ("name", "function", "options"),
    [
        ("fgsm", "fgsm", {"eps": 2 / 255}),
        *(
            (name, name, {"eps": 2 / 255, "steps": 6, "restarts": 3})
            for name in ("pgd", "bpda", "softened")
        ),
        ("autopgd", "autopgd", {"eps": 2 / 255, "restarts": 3, "seed": 9}),
    ],
)
def test_what_robustness_attacks_with(monkeypatch, name, function, options):
    calls = []

    def attack(model, x, y, **given):
        generator = given.pop("generator", None)
        calls.append((len(x), given, generator and torch.rand(1, generator=generator).item()))
        return x

    monkeypatch.setattr(accuracy_under_attack, function, attack)
    model = linear_reader(8, 4, 4)
    more = {"attacks": [name], "steps": 6, "restarts": 3, "seed": 9, "batch_size": 16}
    points = accuracy_under_attack.robustness({"a": model}, IMAGES, LABELS, eps=[2], **more)
    assert [(point.attack, point.eps, point.count) for point in points] == [
        ("none", 0.0, 40),
        (name, 2.0, 40),
    ]
    assert [(count, given) for count, given, _ in calls] == [(n, options) for n in (16, 16, 8)]
    if name not in ("fgsm", "autopgd"):
        # One generator for all batches.
        generator = torch.Generator().manual_seed(9)
        draws = [torch.rand(1, generator=generator).item() for _ in range(3)]
        assert [draw for *_, draw in calls] == draws


def test_tables_and_files_of_known_points(tmp_path):
    points = [
        RobustnessPoint(*each, 50)
        for each in (
            *(("a", 0, "none", 0.0, 0.9), ("a", 0, "pgd", 1.0, 0.5), ("a", 0, "pgd", 2.5, 0.25)),
            *(("b", 0, "none", 0.0, 0.8), ("b", 1, "none", 0.0, 0.6), ("b", 0, "fgsm", 1.0, 0.125)),
        )
    ]
    view = table(points, "the title")
    assert view.title == "the title"
    assert [column.justify for column in view.columns] == [*["left"] * 2, *["right"] * 3]
    heads = ["network", "attack", "top-1 %", "eps 1/255", "eps 2.5/255"]
    assert [column.header for column in view.columns] == heads
    rows = list(zip(*(column.cells for column in view.columns), strict=True))
    assert rows == [
        ("a", "pgd", "90.0", "50.0", "25.0"),
        ("b", "fgsm", "70.0 ± 14.1", "12.5", ""),
    ]
    only = table(points[:1])
    assert [next(iter(column.cells)) for column in only.columns] == ["a", "none", "90.0"]
    check = Check("way", 0.5, 0.25, False, "finding")
    view = gradient_masking.table([check, Check("other", 0.5, 0.25, True, "fine")], "checks")
    assert view.title == "checks"
    assert [[column.header, *column.cells] for column in view.columns] == [
        ["check", "way", "other"],
        ["verdict", "FAILED", "passed"],
        ["finding", "finding", "fine"],
    ]
    save_json(points[:1], tmp_path / "x.json", {"a": 1}, {"a": [check]})
    body = json.loads((tmp_path / "x.json").read_text())
    point = {"network": "a", "run": 0, "attack": "none", "eps": 0.0, "top1": 0.9, "count": 50}
    assert body == {
        "provenance": {"a": 1},
        "points": [point],
        "checks": {
            "a": [
                {"name": "way", "value": 0.5, "limit": 0.25, "passed": False, "sentence": "finding"}
            ]
        },
    }
    save_json([], tmp_path / "x.json", {})
    assert json.loads((tmp_path / "x.json").read_text())["checks"] == {}


def test_networks_that_cannot_be_attacked():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    under = partial(accuracy_under_attack.correct_under, model, IMAGES)
    right = under(LABELS, batch_size=7)
    assert torch.equal(right, model(IMAGES / 255).argmax(1) == LABELS)
    with pytest.raises(ValueError, match="labels must be at least 0, got -1"):
        under(torch.full((40,), -1))
    for eps in (0, 255.5):
        with pytest.raises(ValueError, match=r"eps must lie above 0 and up to 255 pixel levels"):
            accuracy_under_attack.robustness({"a": model}, IMAGES, LABELS, eps=[eps])
