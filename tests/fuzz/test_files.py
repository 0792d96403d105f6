"""Hostile files of our own kinds: refused in one sentence, or read, and then written again."""

import json
import os

import numpy as np
import pytest

pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

import torch

from fuzz.hostile_json import changed, hostile
from fuzz.test_fuzz import accepted, mutated
from softjpeg import Ladder, Preset
from softjpeg.adaptation.adapter import Adapter
from softjpeg.adaptation.strength import StrengthCurve
from softjpeg.training.build import build_network
from softjpeg.training.checkpoint import save_checkpoint
from softjpeg.training.recipe_file import load_recipe, parse_recipe
from softjpeg.training.trained_network import TrainedNetwork, load_run

COUNT = int(os.environ.get("SOFTJPEG_FUZZ", "200"))
SEED = int(os.environ.get("SOFTJPEG_FUZZ_SEED", "0"))
LADDER = Ladder(
    (Preset.from_quality(20), Preset.from_quality(60)),
    ((0, 0.1), (1, 0.5), (2, 1.0), (3, 8.0)),
    ((1, 0.1), (50, 1.0), (100, 8.0)),
    {"network": "a", "figures": [1, 2.5]},
    ((0, 0.1), (1, 0.4), (2, 0.9), (3, 7.0)),
    0.5,
).to_json()
RECIPE = {
    "data": {"name": "cifar100"},
    "model": {"name": "cifar:resnet8"},
    "jpeg": {"levels": 50, "window": 5},
    "optimizer": {"lr": 0.1, "betas": [0.9, 0.99]},
    "train": {"epochs": 3, "batch_size": 8},
}
FACTS = {
    "recipe": RECIPE,
    "variant": "jpeg-dl",
    "seed": 0,
    "world": 1,
    "classes": ["a", "b"],
    "step": 5,
    "best": [0.5, 5],
    "result": {"top1": 0.5, "best_top1": 0.5},
    "initial_tables": [[[[1.0] * 8] * 8] * 2],
}


def with_facts(data, facts):
    """A safetensors file with other facts, its tensors as they are."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = {"softjpeg": json.dumps(facts)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A checkpoint's bytes."""
    torch.manual_seed(0)
    network = build_network(parse_recipe(RECIPE, "r"), 2, pretrained=False)
    path = tmp_path_factory.mktemp("run") / "last.safetensors"
    save_checkpoint(path, network.state_dict(), FACTS)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_ladders():
    rng = np.random.default_rng(SEED)
    kept = 0
    for _ in range(COUNT):
        ladder = accepted(Ladder.from_json, changed(LADDER, rng))
        if ladder is not None:
            assert Ladder.from_json(ladder.to_json()) == ladder
            assert Preset.from_json(ladder.at(50).to_json()) == ladder.at(50)
            kept += 1
    assert kept > COUNT // 50


def toml(tree):
    """A tree of two levels as TOML; JSON's values are, but for null and objects."""
    lines = []
    for name, section in tree.items():
        if not isinstance(section, dict):
            lines.insert(0, f"{name} = {json.dumps(section)}")
            continue
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
    return "\n".join(lines)


def test_recipes(tmp_path):
    rng = np.random.default_rng(SEED)
    path = tmp_path / "r.toml"
    kept = 0
    for n in range(COUNT):
        text = toml(hostile(RECIPE, rng)) if n % 2 else toml(RECIPE)
        data = text.encode() if n % 2 else mutated(text.encode(), rng)
        path.write_bytes(data)
        tree = accepted(load_recipe, path)
        recipe = None if tree is None else accepted(parse_recipe, tree, "r.toml")
        if recipe is not None:
            again = json.loads(json.dumps(recipe.model_dump(mode="json"), allow_nan=False))
            assert parse_recipe(again, "again") == recipe
            kept += 1
    assert kept > COUNT // 50


def test_run_files(run, tmp_path):
    rng = np.random.default_rng(SEED)
    path = tmp_path / "last.safetensors"
    kept = 0
    for n in range(COUNT):
        if n % 3:
            data = with_facts(run, hostile(FACTS, rng))
        else:
            head = 8 + int.from_bytes(run[:8], "little")
            data = mutated(run[:head], rng) + run[head:]
        path.write_bytes(data)
        trained = accepted(load_run, path)
        if trained is not None:
            assert isinstance(trained, TrainedNetwork)
            assert trained.initial_tables is None or trained.initial_tables.is_floating_point()
            kept += 1
    assert kept > COUNT // 50


def test_adapters(tmp_path):
    rng = np.random.default_rng(SEED)
    path = tmp_path / "a.safetensors"
    weight = {"w": torch.ones(2)}
    whole = Adapter("norm", weight, weight, "f", StrengthCurve(((2.0, 0.5), (4.0, 1.0)))).to_bytes()
    length = int.from_bytes(whole[:8], "little")
    facts = json.loads(json.loads(whole[8 : 8 + length])["__metadata__"]["softjpeg"])
    kept = 0
    for n in range(COUNT):
        path.write_bytes(with_facts(whole, hostile(facts, rng)) if n % 2 else mutated(whole, rng))
        adapter = accepted(Adapter.load, path)
        if adapter is not None:
            path.write_bytes(adapter.to_bytes())
            assert Adapter.load(path).to_bytes() == adapter.to_bytes()
            kept += 1
    assert kept > COUNT // 50
