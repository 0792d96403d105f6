"""Recipes are parsed before anything is trained, and only then."""

from dataclasses import FrozenInstanceError

import pytest

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from helpers.tiny_training import tiny_recipe, write_images, write_recipe
from softjpeg.training import runs
from softjpeg.training.checkpoint import load_checkpoint, load_facts
from softjpeg.training.experiment import load_experiment, parse_experiment
from softjpeg.training.log import read_log
from softjpeg.training.recipe import Recipe
from softjpeg.training.runs import sweep


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_images(root)
    return root


def test_each_recipe_is_parsed_once(images, tmp_path, monkeypatch):
    parsed, plain = [], Recipe.model_validate
    monkeypatch.setattr(Recipe, "model_validate", lambda tree: parsed.append(tree) or plain(tree))
    tree = tiny_recipe(images, train__max_steps=1)
    experiment = parse_experiment(tree, tmp_path, variants=["hard", "baseline"])
    assert len(parsed) == 2
    trained = [result.top1 for result in sweep(experiment, [0, 1])]
    assert len(parsed) == 2
    assert [result.top1 for result in sweep(experiment, [0, 1])] == trained
    # What the four runs' files say of theirs is checked when they are read.
    assert len(parsed) == 2 + 4
    with pytest.raises(TypeError):
        experiment.recipes["hard"] = experiment.recipes["baseline"]


@pytest.mark.parametrize(
    ("jpeg", "variants"),
    [
        ({"init": "sensitivity"}, ["lsq", "hard", "baseline"]),
        ({"init": "sensitivity", "init_from": "runs/other"}, ["lsq", "hard"]),
        ({"init": "ones"}, ["lsq", "hard"]),
    ],
)
def test_a_baseline_is_there_where_tables_start_from_one(images, tmp_path, jpeg, variants):
    tree = tiny_recipe(images)
    tree["jpeg"] |= jpeg
    experiment = parse_experiment(tree, tmp_path, variants=["lsq", "hard"])
    assert experiment.variants == ("lsq", "hard")
    assert list(experiment.recipes) == variants
    assert experiment.recipes["hard"].jpeg.quantizer == "hard"


def test_every_mistake_is_found_before_training(images, tmp_path):
    file = write_recipe(tmp_path / "r.toml", tiny_recipe(images))

    def refusal(**options):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            load_experiment(file, tmp_path / "out", **options)
        return str(caught.value)

    assert refusal(variants=["hard", "hard"]) == "variants must be given once each, got hard, hard"
    assert refusal(variants=["hard", "sdt"]).startswith("unknown variant 'sdt'")
    settings = ["jpeg.init=ones"]
    assert "the variant lsq decides" in refusal(variants=["hard", "lsq"], settings=settings)
    assert refusal(variants=["hard"], settings=["jpeg.q_max=0"]).startswith(f"{file}: jpeg.q_max")
    assert not (tmp_path / "out").exists()


def test_what_is_said_of_a_run_is_complete_before_it_begins(images, tmp_path, monkeypatch):
    began, plain = [], runs.fit

    def fit(run, state):
        began.append((run, dict(run.facts)))
        return plain(run, state)

    monkeypatch.setattr(runs, "fit", fit)
    experiment = parse_experiment(tiny_recipe(images, train__epochs=1), tmp_path)
    runs.train(experiment)
    (run, facts), last = began[0], tmp_path / "jpeg-dl" / "seed-0" / "last.safetensors"
    assert run.facts == facts
    with pytest.raises(FrozenInstanceError):
        run.facts = {}
    assert facts.items() <= load_facts(last).items()
    assert load_facts(last) == load_checkpoint(last)[1]
    start = read_log(last.with_name("log.jsonl"))[0]
    assert start == {"event": "start", "step": 0, **facts}
    # Gone on with, it is said to have started from the same tables.
    runs.train(parse_experiment(tiny_recipe(images, train__epochs=1), tmp_path))
    assert began[1][1] == facts
