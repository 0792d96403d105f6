"""What a checkpoint says of its run, where it says something else."""

import json
from pathlib import Path

import pytest

pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

import torch

from softjpeg.training.build import build_network
from softjpeg.training.checkpoint import load_checkpoint, save_checkpoint
from softjpeg.training.recipe_file import parse_recipe
from softjpeg.training.resuming import facts_of_last
from softjpeg.training.state import new_state, restore
from softjpeg.training.trained_network import load_run

RECIPE = {
    "data": {"name": "cifar100"},
    "model": {"name": "cifar:resnet8"},
    "jpeg": {"quantizer": "none"},
    "optimizer": {"lr": 0.1},
    "train": {"epochs": 3, "batch_size": 8},
}
FACTS = {
    "recipe": RECIPE,
    "variant": "baseline",
    "seed": 0,
    "world": 1,
    "classes": ["a", "b"],
    "step": 5,
    "best": [0.5, 5],
    "result": {},
    "tested": 5,
    "skipped": 0,
    "losses": [0.5, 1],
}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    return build_network(parse_recipe(RECIPE, "r"), 2, pretrained=False).state_dict()


def readers(path):
    """Everything that reads a run's checkpoint."""
    recipe = parse_recipe(RECIPE, "r")
    yield lambda: load_run(path)
    yield lambda: facts_of_last(path.parent, recipe, 1)
    yield lambda: restore(new_state(build_network(recipe, 2, pretrained=False), recipe), path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        *((key, None, f"{key}: field required") for key in ("recipe", "variant", "seed", "world")),
        *((key, None, f"{key}: field required") for key in ("classes", "step", "best")),
        ("seed", "x", "seed: input should be a valid integer.*, got 'x'"),
        ("seed", -1, "seed: .*, got -1"),
        ("world", 2**200, "world: .*, got 1606938"),
        ("classes", 5, "classes: .*list, got 5"),
        ("classes", [], "classes: list should have at least 1 item"),
        ("classes", ["a", 3], r"classes\.1: .*string, got 3"),
        ("best", [float("nan"), 0], r"best\.0: .*finite number, got nan"),
        ("best", [1], "best"),
        ("losses", {"a": 1}, "losses"),
        ("result", {"top5": 1}, "result"),
        ("initial_tables", [[1]], r"initial_tables\.0\.0: .*list, got 1"),
        ("initial_tables", [[[[1.0] * 9] * 8]], r"initial_tables\.0\.0\.0: .* at most 8 items"),
        ("initial_tables", [[], [[[1.0] * 8] * 8]], "initial_tables: .* as many tables"),
        ("initial_tables", [[[[2.0**200] * 8] * 8]], r"initial_tables\.0\.0\.0\.0: .* 65535"),
    ],
)
def test_a_wrong_or_missing_fact_is_named(weights, tmp_path, key, value, message):
    facts = {k: v for k, v in {**FACTS, key: value}.items() if k != key or value is not None}
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, weights, facts)
    for read in readers(path):
        with pytest.raises(ValueError, match=f"^checkpoint {path}: {message}") as refused:
            read()
        assert "\n" not in str(refused.value)


def test_a_whole_one_is_read(weights, tmp_path):
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, weights, FACTS)
    load, of_last, go_on = readers(path)
    assert load().classes == ("a", "b")
    assert of_last()["step"] == go_on()["step"] == 5


def test_loaded_tensors_do_not_change_with_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"a": torch.ones(999)}, FACTS)
    tensors, _ = load_checkpoint(path)
    path.write_bytes(bytes(len(path.read_bytes())))
    assert bool((tensors["a"] == 1).all())


@pytest.mark.parametrize("text", ["[1]", "5", "{", "[" * 9999, '{"a": ' * 70 + "1" + "}" * 70])
def test_facts_that_are_none(tmp_path, text):
    path = Path(tmp_path, "a.safetensors")
    header = json.dumps({"__metadata__": {"softjpeg": text}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match=r"^checkpoint .*(cannot be read|must be an object)"):
        load_checkpoint(path)


def test_a_recipe_in_a_file_is_checked_too(weights, tmp_path):
    path = tmp_path / "last.safetensors"
    for key, value, message in (
        ("model", {"name": "cifar:resnet60002"}, "depth must be 6n . 2, from 8 to 1202, got 60002"),
        ("optimizer", {"lr": float("inf")}, "optimizer.lr: input should be a finite number, got"),
    ):
        save_checkpoint(path, weights, {**FACTS, "recipe": {**RECIPE, key: value}})
        with pytest.raises(ValueError, match=message):
            load_run(path)
