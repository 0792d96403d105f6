"""``softjpeg train``, and what the other commands make of its runs."""

import json

import pytest
import torch

from helpers import warm
from helpers.commands import call, refusal
from helpers.html_page import Page
from helpers.tiny_training import tiny_recipe, write_images, write_recipe

pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A recipe, its data, and runs of jpeg-dl and its baseline."""
    root = tmp_path_factory.mktemp("experiment")
    write_images(root)
    recipe = write_recipe(root / "recipe.toml", tiny_recipe(root, "plain"))
    variants = "baseline,jpeg-dl"
    done = call("train", recipe, "--out", root / "runs", "--variant", variants, "--seeds", "0,1")
    assert done.exit_code == 0, done.output
    return root


def run_of(experiment, variant="jpeg-dl", seed=0):
    return experiment / "runs" / variant / f"seed-{seed}"


def trusting(experiment):
    """The file that the runs' network is of, as the command line must name it."""
    return "--trust", experiment / "networks.py"


def test_loading_a_run_executes_no_file_that_the_command_line_does_not_name(
    experiment, tmp_path, monkeypatch
):
    """A checkpoint's metadata may name any file: it has no say in what is run."""
    file = experiment / "networks.py"
    marked = tmp_path / "ran"
    whole = file.read_text()
    monkeypatch.chdir(tmp_path)
    try:
        file.write_text(f"open({str(marked)!r}, 'w').close()\n" + whole)
        run = run_of(experiment)
        for words in (
            ("inspect", run, "--out", tmp_path / "page.html"),
            ("inspect", run / "best.safetensors", "--out", tmp_path / "page.html"),
            ("evaluate", run),
            ("attack", run),
            ("qualities", run, "--out", tmp_path / "q"),
            ("export", run, "--out", tmp_path / "net.onnx"),
        ):
            assert f"softjpeg --trust {file}" in refusal(*words)
            assert "which is not run unasked" in refusal("--trust", tmp_path / "x.py", *words)
        assert not marked.exists()
        done = call(*trusting(experiment), "inspect", run, "--out", tmp_path / "page.html")
        assert done.exit_code == 0, done.output
        assert marked.exists()
    finally:
        file.write_text(whole)


def test_train_tabulates_and_saves_every_seed(experiment):
    summary = json.loads((experiment / "runs" / "summary.json").read_text())
    assert [r["variant"] for r in summary["results"]] == ["baseline", "jpeg-dl"]
    assert summary["results"][1]["seeds"] == [0, 1]
    logged = [
        json.loads(line) for line in (run_of(experiment) / "log.jsonl").read_text().splitlines()
    ]
    last = [record for record in logged if record["event"] == "test"][-1]
    assert summary["results"][1]["top1"][0] == last["top1"]


def test_evaluate_a_run_shows_every_version_of_its_layer(experiment, tmp_path):
    done = call(
        *trusting(experiment), "evaluate", run_of(experiment), "--json", tmp_path / "v.json"
    )
    assert done.exit_code == 0, done.output
    for name in ("as trained", "hard rounding", "real JPEG", "no layer"):
        assert name in done.stdout
    found = json.loads((tmp_path / "v.json").read_text())
    assert [v["images"] for v in found["versions"]] == [9] * 4
    assert found["versions"][2]["bpp"] > found["versions"][1]["bpp"] > 0


def test_evaluate_a_run_behind_default_jpeg(experiment):
    done = call(*trusting(experiment), "evaluate", run_of(experiment), "--quality", "20,80")
    assert done.exit_code == 0, done.output
    assert "default 4:2:0 q 20" in done.stdout


def test_inspect_a_run_writes_a_page(experiment, tmp_path):
    done = call(
        *trusting(experiment), "inspect", run_of(experiment), "--out", tmp_path / "page.html"
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text()
    assert not Page(page).open
    assert "Quantization tables" in page
    assert "class0" in page


def test_attack_measures_both_networks_over_their_seeds(experiment, tmp_path):
    words = [run_of(experiment), run_of(experiment, seed=1)]
    words += ["--baseline", run_of(experiment, "baseline"), "--eps", "1,8", "--steps", "2"]
    done = call(
        *trusting(experiment),
        "attack",
        *words,
        "--json",
        tmp_path / "a.json",
        "--plot",
        tmp_path / "a.html",
    )
    assert done.exit_code == 0, done.output
    points = json.loads((tmp_path / "a.json").read_text())["points"]
    assert {(p["network"], p["run"]) for p in points} == {
        ("network", 0), ("network", 1), ("baseline", 0),
    }  # fmt: skip
    weak, strong = (
        [p["top1"] for p in points if p["attack"] == "pgd" and p["eps"] == eps] for eps in (1, 8)
    )
    assert sum(strong) <= sum(weak)
    page = (tmp_path / "a.html").read_text()
    assert not Page(page).open
    assert page.count("<svg") == 3


def test_qualities_of_a_run(experiment, tmp_path):
    words = ["--quality", "10,90", "--json", tmp_path / "q.json", "--out", tmp_path / "q.html"]
    done = call(*trusting(experiment), "qualities", run_of(experiment), *words)
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "q.json").read_text())["sweep"]["qualities"] == [10, 90]
    assert not Page((tmp_path / "q.html").read_text()).open


def test_export_agrees_in_onnxruntime(experiment, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="softjpeg[export] is not installed")
    from softjpeg.training.trained_network import load_run

    done = call(*trusting(experiment), "export", run_of(experiment), "--out", tmp_path / "net.onnx")
    assert done.exit_code == 0, done.output
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        expected = load_run(run_of(experiment), trust=True).network(images)
    assert torch.allclose(torch.from_numpy(answer), expected, atol=1e-4)


def test_export_of_the_tables_alone(experiment, tmp_path):
    from softjpeg.presets.preset import Preset
    from softjpeg.training.trained_network import load_run

    run, out = run_of(experiment), tmp_path / "tables.json"
    done = call(*trusting(experiment), "export", run, "--out", out)
    assert done.exit_code == 0, done.output
    assert f"--preset {out}" in done.stdout
    preset = Preset.load(out)
    steps = load_run(run, trust=True).network.jpeg.tables[0].round()
    assert preset.luma.tolist() == steps[0].tolist()
    assert preset.chroma.tolist() == steps[1].tolist()
    assert preset.provenance["variant"] == "jpeg-dl"
    baseline = run_of(experiment, "baseline")
    message = refusal(*trusting(experiment), "export", baseline, "--out", tmp_path / "no.json")
    assert f"{baseline} has no JPEG layer in front" in message
    assert not (tmp_path / "no.json").exists()


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["inspect", "RUN", "--out", "page.html", "--limit", "2"], [0]),
        (["inspect", "RUN", "--out", "page.html", "--images", "IMAGES"], [0]),
        (["evaluate", "RUN"], [0]),
        (["evaluate", "RUN", "--quality", "50", "--limit", "2"], [0]),
        (["evaluate", "RUN", "IMAGES", "--quality", "50", "--reader", "OTHER"], [0, 1]),
        (["qualities", "RUN", "--quality", "50", "--out", "page.html"], [0]),
        (["attack", "RUN", "OTHER", "--attacks", "fgsm", "--eps", "1"], [0, 1]),
        (["encode", "IMAGES", "--out", "out", "--network", "RUN", "--quality", "50"], [0]),
    ],
)
def test_a_run_is_loaded_once(experiment, tmp_path, monkeypatch, words, seeds):
    from softjpeg.training import trained_network

    monkeypatch.chdir(tmp_path)
    loaded, plain = [], trained_network.load_checkpoint
    monkeypatch.setattr(
        trained_network, "load_checkpoint", lambda path: loaded.append(path) or plain(path)
    )
    places = {"RUN": run_of(experiment), "OTHER": run_of(experiment, seed=1)}
    places["IMAGES"] = experiment / "val" / "class0"
    done = call(*trusting(experiment), *(places.get(word, word) for word in words))
    assert done.exit_code == 0, done.output
    assert loaded == [run_of(experiment, seed=seed) / "best.safetensors" for seed in seeds]


def test_going_on_with_a_run_reads_its_tensors_once(experiment, monkeypatch):
    from softjpeg.training import state

    loaded, plain = [], state.load_checkpoint
    monkeypatch.setattr(state, "load_checkpoint", lambda path: loaded.append(path) or plain(path))
    done = call("train", experiment / "recipe.toml", "--out", experiment / "runs")
    assert done.exit_code == 0, done.output
    assert loaded == [run_of(experiment) / "last.safetensors"]


def test_refusals_name_what_is_wrong(experiment, tmp_path):
    run = run_of(experiment)
    assert "images must be given: timm:resnet18" in refusal(
        "qualities", "timm:resnet18", "--out", tmp_path / "q.html"
    )
    assert refusal("inspect", run).endswith("--out PAGE.html")
    assert "is not a training run with its own" in refusal("attack", tmp_path)
    assert "does not exist" in refusal("export", run, "--out", tmp_path / "no" / "net.onnx")
    assert "unknown variant 'sdt'" in refusal(
        "train", experiment / "recipe.toml", "--out", tmp_path, "--variant", "sdt"
    )
    message = refusal(
        "train", experiment / "recipe.toml", "--out", tmp_path, "--set", "jpeg.quantiser=hard"
    )
    assert message.endswith("unknown key jpeg.quantiser; the nearest known one is quantizer")
    assert "--seeds must be integers" in refusal(
        "train", experiment / "recipe.toml", "--out", tmp_path, "--seeds", "a"
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_remarkable_about_training_images_is_said(tmp_path, workers):
    """Once for each kind, whichever process reads them."""
    from PIL import Image

    write_images(tmp_path)
    for i in (0, 3, 6):
        Image.new("RGBA", (16, 16)).save(tmp_path / "train" / "class0" / f"{i:02}.png")
    (tmp_path / "val" / "class0" / "x.gif").touch()
    tree = tiny_recipe(tmp_path, "plain", data__workers=workers, train__max_steps=6)
    # Read in this process alone where they are kept in memory.
    tree["data"]["in_memory"] = not workers
    words = ["train", write_recipe(tmp_path / "r.toml", tree), "--out", tmp_path / "runs"]
    done = warm.run("-m", "softjpeg", *words)
    assert done.returncode == 0, done.stderr
    first, second = sorted(done.stderr.splitlines())
    assert first == (
        f"softjpeg: left out, of a suffix that is not read (1): {tmp_path}/val/class0/x.gif"
    )
    kind = "softjpeg: what is transparent is composed on the background 255,255,255"
    assert second.startswith(f"{kind} ({1 if workers else 3}): {tmp_path}/train/class0/")
    assert second.endswith("and maybe others") == bool(workers)
