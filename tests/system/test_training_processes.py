"""Training as processes: killed, stopped, out of disk, and two of them as one."""

import json
import os
import signal
import time

import pytest
import torch

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from safetensors.torch import load_file

from helpers import warm
from helpers.tiny_training import tiny_recipe, train_variant, write_images, write_recipe
from softjpeg.training.log import read_log
from softjpeg.training.trained_network import load_run

LIMIT = 1200
"""Seconds that nothing here takes; only a failure does."""


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def start():
    """Starts ``python -m ...``; what still runs when a test fails is killed."""
    # As many threads as here: the order of sums depends on it.
    threads, running = {"OMP_NUM_THREADS": str(torch.get_num_threads())}, []

    def begin(*words, **environment):
        told = threads | {k: str(v) for k, v in environment.items()}
        process = warm.Started("-m", *words, env=os.environ | told)
        running.append(process)
        return process

    yield begin
    for process in running:
        with process:
            process.kill()


def wait_for(path, process):
    until = time.monotonic() + LIMIT
    while not path.exists():
        assert process.poll() is None, process.stderr.read_text()
        assert time.monotonic() < until, f"{path} never came"
        time.sleep(0.02)


def end(process, code):
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == code, err
    return out, err


def run_of(out):
    return out / "jpeg-dl" / "seed-0"


def steps_of(out):
    """Everything but speed, and but the lines that say that a run began."""
    rows = [r for r in read_log(run_of(out) / "log.jsonl") if r["event"] != "start"]
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in rows]


def test_killed_and_stopped_runs_end_like_an_uninterrupted_one(images, tmp_path, start):
    """kill -9 in a step of the first epoch, SIGTERM in the second, then to the end."""
    tree = tiny_recipe(
        images,
        "small",
        data__workers=2,
        data__randaugment=(1, 5),
        train__epochs=3,
        train__accumulate=2,
        train__batch_size=3,
        train__mixup=0.3,
        train__precision="bf16",
        train__ema=0.7,
        train__log_every=3,
        train__checkpoint_every=1,
        train__label_smoothing=0.1,
    )
    train_variant(tree, tmp_path / "whole")
    words = ("softjpeg", "train", write_recipe(tmp_path / "r.toml", tree), "--out", tmp_path / "o")
    paused = tmp_path / "paused"

    # 4 steps of 2 parts an epoch: pass 6 is within step 3.
    process = start(*words, PAUSE_AT=6, PAUSE_IN=tmp_path)
    wait_for(paused, process)
    process.kill()
    end(process, -signal.SIGKILL)
    assert load_run(run_of(tmp_path / "o") / "last.safetensors", trust=True).facts["step"] == 2

    # From step 2, passes 5 and 6 are those of its third step, the first of epoch 2.
    paused.unlink()
    process = start(*words, PAUSE_AT=6, PAUSE_IN=tmp_path)
    wait_for(paused, process)
    process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    _, err = end(process, 143)
    last = run_of(tmp_path / "o") / "last.safetensors"
    assert err == (
        f"softjpeg: interrupted at step 5; {last} is saved, and the same command goes on from it\n"
    )

    train_variant(tree, tmp_path / "o")
    assert steps_of(tmp_path / "o") == steps_of(tmp_path / "whole")
    starts = [r for r in read_log(last.with_name("log.jsonl")) if r["event"] == "start"]
    assert [r["step"] for r in starts] == [0, 2, 5]
    for name in ("last.safetensors", "best.safetensors"):
        whole, found = (load_file(run_of(tmp_path / f) / name) for f in ("whole", "o"))
        assert list(whole) == list(found)
        different = [key for key, value in whole.items() if not torch.equal(value, found[key])]
        assert different == []
        whole, found = ((run_of(tmp_path / f) / name).read_bytes() for f in ("whole", "o"))
        assert whole == found
    # Both optimizers and the average were there to be compared.
    assert {k.split(".")[0] for k in load_file(last)} >= {"ema", "optimizer", "jpeg", "network"}


def test_one_run_has_one_writer_and_leaves_nothing_of_a_killed_one(images, tmp_path, start):
    tree = tiny_recipe(images, "plain")
    words = ("softjpeg", "train", write_recipe(tmp_path / "r.toml", tree), "--out", tmp_path / "o")
    process = start(*words, PAUSE_AT=2, PAUSE_IN=tmp_path)
    wait_for(tmp_path / "paused", process)
    _, err = end(start(*words), 2)
    run = run_of(tmp_path / "o")
    assert err.startswith(f"softjpeg: {run} is being written by process {process.pid} on ")
    # Another run of the same experiment is another folder.
    end(start(*words, "--seeds", "1"), 0)
    process.kill()
    end(process, -signal.SIGKILL)
    (run / ".softjpeg-left.tmp").touch()
    end(start(*words), 0)
    assert {path.name for path in run.iterdir()} == {
        *("best.safetensors", "last.safetensors", "log.jsonl"),
    }


FULL_DISK = """
import resource, sys
from softjpeg.cli import app
# No file may be as long as the checkpoint that is there.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
app(sys.argv[2:])
"""


def test_a_full_disk_leaves_the_old_checkpoint(images, tmp_path):
    tree = tiny_recipe(images, "plain", train__max_steps=2)
    train_variant(tree, tmp_path / "o")
    last = run_of(tmp_path / "o") / "last.safetensors"
    before = last.read_bytes()
    (tmp_path / "full.py").write_text(FULL_DISK)
    recipe = write_recipe(tmp_path / "r.toml", tree)
    words = ["train", recipe, "--out", tmp_path / "o", "--set", "train.max_steps=4"]
    done = warm.run(tmp_path / "full.py", len(before) - 500, *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"softjpeg: {last}: File too large\n"
    assert last.read_bytes() == before
    assert not [p.name for p in last.parent.iterdir() if p.suffix == ".tmp"]
    # With room again it goes on.
    tree["train"]["max_steps"] = 4
    assert train_variant(tree, tmp_path / "o")["step"] == 4


BOTH = """
import json, pathlib, sys
import torch
from softjpeg.training.data.sources import open_split
from softjpeg.training.build import build_network
from softjpeg.training.distributed import joined
from softjpeg.training.experiment import load_experiment
from softjpeg.training.fit import fit
from softjpeg.training.plan import Run
from softjpeg.training.recipe_file import load_recipe, parse_recipe
from softjpeg.training.runs import train
from softjpeg.training.state import new_state

out = pathlib.Path(sys.argv[1])
with joined() as group:
    plain = load_experiment(out / "plain.toml", out / "two", variants=["jpeg-dl"])
    train(plain, group=group)
    # The loop once more, where each process's own state can be looked at.
    recipe = parse_recipe(load_recipe(out / "skipping.toml"), "test")
    torch.manual_seed(group.rank)
    tables = [torch.full((8, 8), 9.0 + group.rank)] * 2
    state = new_state(build_network(recipe, 3, tables), recipe)
    splits = [open_split("folder", recipe.data.root, train) for train in (True, False)]
    folder = out / "skipping"
    folder.mkdir(exist_ok=True)
    result = fit(Run(recipe, 0, folder, *splits, group, {}), state)
    tensors = {name: value.tolist() for name, value in state.model.state_dict().items()}
    body = {"world": group.world, "result": result, "tensors": tensors}
    (out / f"rank{group.rank}.json").write_text(json.dumps(body))
"""


def test_two_processes_are_one_with_the_same_global_batch(images, tmp_path, start):
    # Without BatchNorm, whose statistics are those of each process's own images, and dropout.
    tree = tiny_recipe(images, "plain", train__accumulate=2, train__epochs=3)
    tree["train"]["batch_size"] = 2
    tree["train"]["clip_gradient"] = 1.0
    write_recipe(tmp_path / "plain.toml", tree)
    write_images(tmp_path / "bad")
    broken = [tmp_path / "bad" / "train" / f"class{i % 3}" / f"{i:02}.png" for i in (3, 7, 14)]
    for path in broken:
        path.write_bytes(b"no picture")
    skipping = tiny_recipe(tmp_path / "bad", "small", data__skip_bad=True, train__max_steps=3)
    write_recipe(tmp_path / "skipping.toml", skipping)
    alone = {**tree, "train": {**tree["train"], "batch_size": 4}}
    train_variant(alone, tmp_path / "one")
    (tmp_path / "both.py").write_text(BOTH)
    process = start(
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        tmp_path / "both.py",
        tmp_path,
        CUDA_VISIBLE_DEVICES="",
    )
    end(process, 0)
    one, two = (
        [r for r in read_log(run_of(tmp_path / f) / "log.jsonl") if r["event"] in ("step", "test")]
        for f in ("one", "two")
    )
    assert [r["event"] for r in one] == [r["event"] for r in two]
    assert len([r for r in one if r["event"] == "step"]) == 9
    for a, b in zip(one, two, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-5)
    assert one[-1]["top1"] == two[-1]["top1"]
    one, two = (load_file(run_of(tmp_path / f) / "last.safetensors") for f in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)

    first, second = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert first["world"] == 2
    # Equal though each began with other weights, tables and, at the end, running statistics.
    assert first == second
    assert first["result"]["skipped"] == 3
    log = read_log(tmp_path / "skipping" / "log.jsonl")
    names = [name for r in log if r["event"] == "skipped" for name in r["images"]]
    assert (
        sorted(str(path) in name for path in broken for name in names) == [False] * 6 + [True] * 3
    )
