"""Runs as folders: logs, checkpoints, refusals, seeds and variants."""

import json
import statistics

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("torchvision", reason="softjpeg[train] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")

from safetensors.torch import load_file
from torchvision.transforms.functional import to_tensor
from typer.testing import CliRunner

from helpers.tiny_training import tiny_recipe, train_variant, write_images, write_recipe
from softjpeg.cli import app
from softjpeg.cli.load import is_run
from softjpeg.training.experiment import parse_experiment
from softjpeg.training.log import Log, read_log
from softjpeg.training.runs import sweep
from softjpeg.training.trained_network import load_run


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    write_images(root)
    return root


def own_images(root, **options):
    write_images(root, **options)
    return root


def accuracy_by_hand(trained, root):
    """Plain Pillow and torchvision, image by image."""
    right, losses = [], []
    for i, name in enumerate(trained.classes):
        for path in sorted((root / "val" / name).iterdir()):
            with Image.open(path) as image, torch.no_grad():
                logits = trained.network(to_tensor(image)[None])[0].double()
            right.append(logits.argmax().item() == i)
            losses.append(-logits.log_softmax(0)[i].item())
    return statistics.mean(right), statistics.mean(losses)


def test_tested_weights_are_those_of_the_checkpoints(images, tmp_path):
    """With a moving average, which starts near the first weights and must not be mixed up."""
    tree = tiny_recipe(images, train__ema=0.9, train__epochs=3, optimizer__lr=0.5)
    result = train_variant(tree, tmp_path, seed=4)
    run = tmp_path / "jpeg-dl" / "seed-4"
    last = load_run(run / "last.safetensors", trust=True)
    top1, loss = accuracy_by_hand(last, images)
    assert result["top1"] == pytest.approx(top1)
    assert result["loss"] == pytest.approx(loss, rel=1e-4)
    assert (last.variant, last.seed, last.facts["step"]) == ("jpeg-dl", 4, 18)
    # Not the trained weights themselves, whose loss is another.
    weights = load_file(run / "last.safetensors")
    raw = {k: v for k, v in weights.items() if not k.startswith(("ema.", "optimizer."))}
    last.network.load_state_dict(raw)
    assert accuracy_by_hand(last, images)[1] != pytest.approx(loss, rel=1e-4)
    tests = [r for r in read_log(run / "log.jsonl") if r["event"] == "test"]
    assert [r["step"] for r in tests] == [6, 12, 18]
    best = load_run(run, trust=True)
    assert best.facts["step"] == result["best_step"]
    assert max(r["top1"] for r in tests) == result["best_top1"]
    assert accuracy_by_hand(best, images)[0] == pytest.approx(result["best_top1"])
    assert load_run(run / "best.safetensors", trust=True).facts == best.facts
    assert is_run(run)
    assert not is_run(tmp_path)


def test_seeds_and_variants_in_one_command(images, tmp_path):
    """The sensitivity of a baseline, which is trained once for both variants that need it."""
    tree = tiny_recipe(images, jpeg__init="sensitivity", jpeg__init_images=20)
    recipe, out = tmp_path / "r.toml", tmp_path / "out"
    write_recipe(recipe, {**tree, "expected.lsq": {"top1": 71.0, "std": 0.5}})
    words = ["train", recipe, "--out", out, "--variant", "jpeg-dl,lsq,fixed-tables"]
    words += ["--seeds", "0,2"]

    def run(*more):
        done = CliRunner().invoke(app, [*map(str, words), *more])
        assert done.exit_code == 0, done.output
        return done.stdout

    shown = run()
    assert "71.00 ± 0.50" in shown
    summary = json.loads((out / "summary.json").read_text())
    for row in summary["results"]:
        found = [
            read_log(out / row["variant"] / f"seed-{seed}" / "log.jsonl")[-1] for seed in (0, 2)
        ]
        assert row["seeds"] == [0, 2]
        assert row["top1"] == [r["top1"] for r in found]
        assert row["best_top1"] == [r["best_top1"] for r in found]
        assert row["mean"] == pytest.approx(np.mean(row["top1"]))
        assert row["std"] == pytest.approx(np.std(row["top1"], ddof=1))
        mean, std = 100 * np.mean(row["top1"]), 100 * np.std(row["top1"], ddof=1)
        assert f"{mean:.2f} ± {std:.2f}" in shown
    logs = {path: path.read_bytes() for path in out.rglob("log.jsonl")}
    folders = sorted(str(p.parent.relative_to(out)) for p in logs)
    variants = ("baseline", "fixed-tables", "jpeg-dl", "lsq")
    assert folders == [f"{v}/seed-{seed}" for v in variants for seed in (0, 2)]
    starts = [r for path in logs for r in read_log(path) if r["event"] == "start"]
    assert len(starts) == 8
    # Nothing that has ended is trained again, whatever its layer's settings say now.
    assert run() == shown
    assert {path: path.read_bytes() for path in logs} == logs
    tables = [
        load_run(out / v / "seed-0" / "last.safetensors", trust=True).network.layer.tables
        for v in ("fixed-tables", "jpeg-dl", "lsq")
    ]
    assert not torch.equal(tables[0], tables[1])
    # The largest luma step is q_max, before training moved it.
    assert tables[0][0, 0].max().item() == pytest.approx(10.0)
    again = parse_experiment(tree, out, variants=["baseline"], jpeg_at="0")
    done = sweep(again, [0])
    assert done[0].top1 == (read_log(out / "baseline" / "seed-0" / "log.jsonl")[-1]["top1"],)
    assert {path: path.read_bytes() for path in logs} == logs


def test_variants_begin_with_the_same_weights(images, tmp_path):
    names = ("baseline", "jpeg-dl", "conv1")
    for name in names:
        tree = tiny_recipe(images, train__max_steps=1, optimizer__lr=1e-30)
        tree["jpeg"]["init"] = "ones"
        train_variant(tree, tmp_path, variant=name, jpeg_at="0" if name == "conv1" else None)
    weights = [
        load_file(tmp_path / name / "seed-0" / "last.safetensors")["network.8.weight"]
        for name in names
    ]
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])


def test_another_recipe_in_the_same_folder_is_refused(images, tmp_path):
    tree = tiny_recipe(images, train__max_steps=1)
    train_variant(tree, tmp_path)
    for key, value, shown in (
        ("optimizer__lr", 0.06, "optimizer.lr = 0.05, not 0.06"),
        ("jpeg__quality", 60, "jpeg.quality = 50, not 60"),
        ("data__flip", False, "data.flip = true, not false"),
    ):
        with pytest.raises(ValueError, match=f"seed-0 holds a run with {shown}: give another"):
            train_variant(tiny_recipe(images, **{key: value}), tmp_path)
    # What does not change a step may change.
    more = {"train__max_steps": 2, "data__workers": 1, "train__checkpoint_every": 1}
    assert train_variant(tiny_recipe(images, **more, data__skip_bad=True), tmp_path)["step"] == 2


def test_a_corrupt_image_is_named_or_left_out(tmp_path):
    root = own_images(tmp_path / "images")
    broken = root / "train" / "class1" / "04.png"
    broken.write_bytes(broken.read_bytes()[:80])
    also = root / "val" / "class0" / "03.png"
    also.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"class1/04\.png"):
        train_variant(tiny_recipe(root), tmp_path / "a")
    # The run that stopped goes on, without the image.
    for out in ("a", "b"):
        recipe = write_recipe(tmp_path / "r.toml", tiny_recipe(root, train__log_every=4))
        words = ["train", str(recipe), "--out", str(tmp_path / out), "--skip-bad"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        log = read_log(tmp_path / out / "jpeg-dl" / "seed-0" / "log.jsonl")
        skipped = [name for r in log if r["event"] == "skipped" for name in r["images"]]
        assert len(skipped) == log[-1]["skipped"] == 2
        assert all(str(broken) in name for name in skipped)
        assert log[-1]["images"] == 8
        (test,) = log[-1]["skipped_tests"]
        assert str(also) in test


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data__size": 24}, r"train/class\d/\d+.png: the image is 16x16, smaller than the crop"),
        ({"train__batch_size": 40}, "batch_size must be at most what 24 training images allow"),
        ({"train__accumulate": 9}, "train.accumulate must be at most the 6 batches of an epoch"),
        ({"jpeg__at": "conv9"}, "the network has no module 'conv9'; its modules are 0, 1"),
        ({"jpeg__at": "7"}, r"jpeg.at: module '7' must give out \(B, C, H, W\), got \(1, 8\)"),
        ({"jpeg__at": "0"}, "jpeg.init: Annex K is for images, not for features of '0'"),
        ({"network": "fixed_size"}, "fixed_size with data.size = 16 fails: .*768.*3072"),
        ({"network": "two_outputs"}, r"must give logits \(B, 3\), got \(1, 4\)"),
        ({"network": "absent"}, "networks.py has no function 'absent'"),
        ({"data__root": "/nowhere"}, "/nowhere/train does not exist: put the images in"),
    ],
)
def test_bad_input_is_named(images, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train_variant(tiny_recipe(images, data__crop="center", **changes), tmp_path / "out")
    # No checkpoint pretends that something was trained.
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("network", "rate", "sentence"),
    [
        ("plain", 1e30, r"loss is (nan|inf) at step 8: training stops; "),
        ("steep", 3e38, "a weight is not finite after step 7: training stops; "),
    ],
)
def test_divergence_keeps_the_last_good_checkpoint(images, tmp_path, network, rate, sentence):
    """After a good epoch the learning rate is far too high."""
    tree = tiny_recipe(images, network, train__checkpoint_every=1)
    tree["schedule"] = {"name": "step", "milestones": [1], "gamma": rate / 0.05}
    last = tmp_path / "jpeg-dl" / "seed-0" / "last.safetensors"
    with pytest.raises(ValueError, match=f"{sentence}the last good checkpoint is {last}; "):
        train_variant(tree, tmp_path)
    # Written after the step whose loss was still good, if its weights were.
    assert load_run(last, trust=True).facts["step"] == (7 if network == "plain" else 6)
    assert all(bool(v.isfinite().all()) for v in load_file(last).values())
    # The epoch's test, too, is as it was.
    best = load_run(last.with_name("best.safetensors"), trust=True)
    assert accuracy_by_hand(best, images)[0] == pytest.approx(best.facts["result"]["top1"])
    assert best.facts["step"] == 6


def test_log_forgets_what_a_resumed_run_will_write_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log(path)
    for event, step in (("start", 0), ("step", 3), ("step", 6), ("test", 6), ("step", 7)):
        log.write(event, step)
    with path.open("a") as file:
        file.write('{"event": "step", "st')

    def kept(step, tested):
        Log(path, step, tested)
        return [(r["event"], r["step"]) for r in read_log(path)]

    assert kept(7, 6) == [("start", 0), ("step", 3), ("step", 6), ("test", 6), ("step", 7)]
    # Stopped at the epoch's end before its test, which will be repeated.
    assert kept(6, 0) == [("start", 0), ("step", 3), ("step", 6)]


def test_tensorboard_holds_what_the_log_holds(images, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_variant(tiny_recipe(images, train__tensorboard=True, train__epochs=1), tmp_path)
    run = tmp_path / "jpeg-dl" / "seed-0"
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    log = [r for r in read_log(run / "log.jsonl") if r["event"] == "step"]
    found = [(e.step, e.value) for e in events.Scalars("step/loss")]
    assert found == [(r["step"], pytest.approx(r["loss"])) for r in log]
    assert len(found) == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--variant", "jpegdl"], "unknown variant 'jpegdl'; the nearest known one is jpeg-dl"),
        (["--set", "jpeg.round=2"], "unknown key jpeg.round; the nearest known one is rounds"),
        (["--set", "jpeg.rounds"], "--set must be key=value, got 'jpeg.rounds'"),
        (["--set", "train.epochs=0"], "train.epochs: input should be greater than or equal to 1"),
        (["--seeds", "0,x"], "--seeds must be integers with commas between, got '0,x'"),
        (["--seeds", "1,1"], "seeds must be given once each, got 1, 1"),
        (["--seeds=-1"], "seed must be at least 0, got -1"),
        (["--jpeg-at", "nowhere"], "the network has no module 'nowhere'"),
    ],
)
def test_mistakes_on_the_command_line(images, tmp_path, words, sentence):
    recipe = write_recipe(tmp_path / "r.toml", tiny_recipe(images))
    result = CliRunner().invoke(app, ["train", str(recipe), "--out", str(tmp_path / "o"), *words])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("softjpeg: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_recipe_that_is_not_there(tmp_path):
    recipe = tmp_path / "none.toml"
    result = CliRunner().invoke(app, ["train", str(recipe), "--out", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"softjpeg: recipe {recipe} cannot be read: No such file or directory\n"


def test_not_a_run(tmp_path):
    with pytest.raises(ValueError, match="not the folder of a training run: no best"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint .*x.safetensors does not exist"):
        load_run(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"12345")
    with pytest.raises(ValueError, match=r"checkpoint .*x.safetensors cannot be read"):
        load_run(tmp_path / "x.safetensors")


def test_a_run_is_loaded_only_of_a_file_that_is_trusted(images, tmp_path):
    train_variant(tiny_recipe(images, "plain", train__max_steps=1), tmp_path)
    run, file = tmp_path / "jpeg-dl" / "seed-0", images / "networks.py"
    for trust in (True, [file], [tmp_path / "other.py", str(file)]):
        assert load_run(run, trust=trust).variant == "jpeg-dl"
    for trust in (False, [], [tmp_path / "other.py"]):
        with pytest.raises(ValueError, match="which is not run unasked"):
            load_run(run, trust=trust)
