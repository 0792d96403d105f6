"""``softjpeg attack`` and ``inspect`` of runs: every option reaches what it is for."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from helpers.calls import plain, reached, spy
from helpers.commands import call
from helpers.networks import linear_reader
from helpers.small_folder import all_of
from softjpeg.common.image_set import ImageSet
from softjpeg.evaluation.robustness.points import Check, RobustnessPoint
from softjpeg.models.network import Network

IMAGES = ImageSet(
    ("a", "b"), torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8).byte(), torch.tensor([1, 0])
)
SAID = {
    "eps": (1, 2, 3, 4),
    "attacks": ["fgsm", "pgd", "bpda"],
    "steps": 20,
    "restarts": 1,
    "images": (2, 3, 8, 8),
    "labels": [1, 0],
    "batch_size": 64,
    "seed": 0,
    "progress": True,
}
OPTIONS = {
    ("--eps", "2,8"): {"eps": (2, 8)},
    ("--attacks", "pgd, softened"): {"attacks": ["pgd", "softened"]},
    ("--steps", "7"): {"steps": 7},
    ("--restarts", "3"): {"restarts": 3},
    ("--batch-size", "5"): {"batch_size": 5},
    ("--seed", "4"): {"seed": 4},
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Training runs that are a network each, and how their images were asked for."""
    monkeypatch.chdir(tmp_path)
    networks = {name: linear_reader(8, 4, 2, seed) for seed, name in enumerate("abcde")}
    monkeypatch.setattr(
        "softjpeg.cli.attack.load_trained", lambda run: SimpleNamespace(network=networks[run])
    )
    asked = spy(
        monkeypatch,
        "softjpeg.cli.attack:load_inputs",
        lambda run, **options: (Network(networks[run], run), IMAGES),
    )
    return SimpleNamespace(networks=networks, asked=asked)


def test_options_reach_the_attacks(runs, monkeypatch):
    place = "softjpeg.evaluation.robustness.accuracy_under_attack:robustness"
    words, changed = all_of(OPTIONS)
    for more, change in (((), {}), (words, changed)):
        given, options = reached(monkeypatch, place, "attack", "a", "b", *more)
        assert given == [{"network": ["Sequential"] * 2}]
        assert options == {**SAID, **change}
    assert runs.asked == [
        (("a",), {"limit": None, "seed": 0}),
        (("a",), {"limit": None, "seed": 4}),
    ]
    reached(monkeypatch, place, "attack", "a", "--limit", 9)
    assert runs.asked[-1] == (("a",), {"limit": 9, "seed": 0})
    words = ("attack", "a", "b", "--baseline", "c", "--baseline", "d")
    calls = spy(monkeypatch, place, lambda *_, **__: [])
    call(*words)
    ((groups,), _) = calls[0]
    assert [*groups] == ["baseline", "network"]
    for name, members in (("network", "ab"), ("baseline", "cd")):
        assert groups[name] == [runs.networks[member] for member in members]


def test_files(runs, monkeypatch):
    words = ("attack", "a", "b", "--baseline", "c", "--json", "x.json", "--plot", "x.html")
    given, _ = reached(monkeypatch, "softjpeg.cli.attack:check_outputs", *words)
    assert given == [{"--json": "x.json", "--plot": "x.html"}, ["a", "b", "c"]]


POINTS = [
    RobustnessPoint(name, 0, attack, eps, top1, 2)
    for name, drop in (("baseline", 0.4), ("network", 0.2))
    for attack, eps in (("none", 0.0), ("pgd", 3.0), ("pgd", 5.0))
    for top1 in [0.9 - drop * eps / 5]
]


def test_what_is_said_and_written(runs, monkeypatch):
    spy(
        monkeypatch,
        "softjpeg.evaluation.robustness.accuracy_under_attack:robustness",
        lambda *_, **__: POINTS,
    )
    check = Check("way", 0.5, 0.25, False, "the finding")
    checks = spy(
        monkeypatch,
        "softjpeg.evaluation.robustness.gradient_masking:masking_checks",
        lambda *_, **__: [check],
    )
    pages = spy(monkeypatch, "softjpeg.report.robustness_plot:robustness_page")
    words = ("attack", "a", "b", "--baseline", "c", "--baseline", "d", "--eps", "3,5", "--steps", 7)
    files = ("--json", "x.json", "--plot", "x.html")
    result = call(*words, *files, "--seed", 4, "--batch-size", 5, "--restarts", 2)
    assert result.exit_code == 0, result.output
    assert checks == []
    title = "top-1 % of 2 images under white-box attack through the layer"
    assert title in " ".join(result.stdout.split())
    assert result.stdout.endswith("wrote x.html\n")
    body = json.loads(Path("x.json").read_text())
    assert [point["top1"] for point in body["points"]] == [point.top1 for point in POINTS]
    facts = body["provenance"]
    assert (facts["runs"], facts["baselines"]) == (["a", "b"], ["c", "d"])
    assert (facts["network"], facts["images"]) == ("a", "test images of the run")
    assert (facts["steps"], facts["restarts"], facts["seed"]) == (7, 2, 4)
    assert body["checks"] == {}
    ((points, answers), options) = pages[0]
    assert (points, answers) == (POINTS, {})
    assert options["title"] == title
    lines = options["facts"]
    assert (lines["runs"], lines["baselines"], lines["steps"]) == ("a, b", "c, d", "7")
    assert title in Path("x.html").read_text()

    result = call(*words, "--checks", "--json", "x.json", "--seed", 4, "--batch-size", 5)
    assert result.exit_code == 0, result.output
    shared = {"eps": 3, "batch_size": 5, "seed": 4, "progress": True}
    shared |= {"images": (2, 3, 8, 8), "labels": [1, 0]}
    for (given, options), member, baseline in zip(checks, "ca", (None, "c"), strict=True):
        assert given == (runs.networks[member],)
        assert options.pop("baseline") is (baseline and runs.networks[baseline])
        assert plain(options) == shared
    body = json.loads(Path("x.json").read_text())
    assert [*body["checks"]] == ["baseline", "network"]
    assert body["checks"]["network"][0]["sentence"] == "the finding"
    for name in ("baseline", "network"):
        assert f"{name}: do gradients show the way?" in " ".join(result.stdout.split())
    checks.clear()
    call("attack", "a", "--checks")
    assert checks[0][1]["baseline"] is None


class Trained(SimpleNamespace):
    """A training run."""


def a_run(name="the recipe", result=None):
    recipe = SimpleNamespace(name=name, model=SimpleNamespace(name="resnet"))
    facts = {"result": result, "step": 77}
    return Trained(
        recipe=recipe,
        facts=facts,
        network=SimpleNamespace(layer="layer"),
        initial_tables="tables",
        classes=["cat", "dog"],
        variant="jpeg-dl",
        seed=3,
    )


@pytest.mark.parametrize(
    ("run", "title", "top1"),
    [(a_run(result={"top1": 0.5}), "the recipe", "50.00 %"), (a_run(""), "run", None)],
)
def test_the_page_of_a_run(tmp_path, monkeypatch, run, title, top1):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.safetensors").touch()
    (tmp_path / "photos").mkdir()
    loaded = spy(monkeypatch, "softjpeg.cli.inspect:load_trained", lambda path: run)
    asked = spy(
        monkeypatch,
        "softjpeg.cli.inspect:load_inputs",
        lambda *_, **__: (Network(linear_reader(8, 4, 2), "a"), IMAGES),
    )
    pages = spy(monkeypatch, "softjpeg.report.run_page:run_page", lambda *_, **__: "the page")
    words = ("inspect", "run", "--out", "page.html")
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout == "wrote page.html\n"
    assert Path("page.html").read_text() == "the page"
    call(*words, "--images", "photos", "--limit", 5, "--seed", 6)
    assert loaded == [(("run",), {})] * 2
    assert asked == [
        (("run", None), {"limit": 256, "seed": 0, "trained": run}),
        (("run", Path("photos")), {"limit": 5, "seed": 6, "trained": run}),
    ]
    (given, options) = pages[0]
    assert plain(list(given)) == ["Sequential", "layer", (2, 3, 8, 8), ("a", "b")]
    assert [options["class_name"](i) for i in (0, 1)] == ["cat", "dog"]
    assert plain({name: options[name] for name in ("title", "labels", "initial")}) == {
        "title": title,
        "labels": [1, 0],
        "initial": "tables",
    }
    facts = {"network": "resnet", "variant": "jpeg-dl", "seed": "3", "step": "77"}
    assert options["facts"] == facts | ({"top-1 on the test images": top1} if top1 else {})
    given, _ = reached(monkeypatch, "softjpeg.cli.inspect:check_outputs", *words)
    assert given == [{"--out": "page.html"}, ["run", None]]
