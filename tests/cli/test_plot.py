"""``softjpeg plot``, ``export`` and ``train``: every option reaches what it is for."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from helpers.calls import plain, reached, spy
from helpers.commands import call, refusal
from helpers.rate_points import point
from helpers.small_folder import fill
from softjpeg.evaluation.results import save_json
from softjpeg.nn.jpeg_layer import JPEGLayer
from softjpeg.presets.preset import Preset


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


@pytest.mark.parametrize("seed", [7, None])
def test_plots(folder, monkeypatch, seed):
    default = [point("a", "default", 1.0, 0.4), point("b", "default", 4.0, 0.1)]
    mine = [point("c", "other", 0.5, 0.4), point("d", "other", 2.0, 0.1)]
    points = [replace(p, curve="default") for p in default] + [replace(p, curve="m") for p in mine]
    facts = {} if seed is None else {"seed": seed}
    save_json(points, "points.json", facts)
    place = "softjpeg.report.rate_curves:save_plot"
    asked = spy(monkeypatch, "softjpeg.evaluation.gain:gains")
    given, _ = reached(monkeypatch, place, "plot", "points.json", "--out", "x.html")
    assert asked == [((given[1],), {"seed": seed or 0})]
    assert (given[0], given[3]) == ("x.html", facts)
    assert [each.name for each in given[1]] == ["a", "b", "c", "d"]
    assert {gain.curve for gain in given[2]} == {"m"}
    given, _ = reached(monkeypatch, place, "plot", "points.json", "--out", "x.svg")
    assert given[2] == []
    result = call("plot", "points.json", "--out", "x.svg")
    assert (result.exit_code, result.stdout) == (0, "wrote x.svg\n")


@pytest.fixture
def run(monkeypatch):
    """A training run whose layer has these tables."""
    luma, chroma = torch.full((8, 8), 5.0), torch.full((8, 8), 9.0)
    network = torch.nn.Identity()
    network.layer = JPEGLayer(luma, chroma)
    found = SimpleNamespace(
        network=network,
        recipe=SimpleNamespace(data=SimpleNamespace(size=24)),
        variant="jpeg-dl",
        seed=3,
        facts={"recipe": {"name": "x"}},
    )
    loaded = spy(monkeypatch, "softjpeg.cli.load:load_trained", lambda path: found)
    return SimpleNamespace(found=found, loaded=loaded)


def test_exported_tables(folder, run):
    result = call("export", "the-run", "--out", "tables.JSON")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "wrote tables.JSON: softjpeg encode IMAGES --preset tables.JSON --out FOLDER\n"
    )
    preset = Preset.load("tables.JSON")
    assert (preset.luma == 5).all()
    assert (preset.chroma == 9).all()
    facts = {"run": "the-run", "variant": "jpeg-dl", "seed": 3, "recipe": {"name": "x"}}
    assert facts.items() <= preset.provenance.items()
    assert run.loaded == [(("the-run",), {})]
    run.found.network.layer = torch.nn.Identity()
    assert refusal("export", "the-run", "--out", "x.json") == (
        "the-run has no JPEG layer in front of its network, whose tables to write"
    )
    run.found.network.layer = JPEGLayer(torch.full((8, 8), 0.25), torch.full((8, 8), 9.0))
    assert refusal("export", "the-run", "--out", "x.json").startswith("the-run: ")


def test_an_exported_network(folder, run, monkeypatch):
    written = spy(monkeypatch, "softjpeg.nn.export:export_onnx", lambda *_, **__: None)
    result = call("export", "the-run", "--out", "net.onnx")
    assert result.stdout == (
        "wrote net.onnx: input RGB (batch, 3, 24, 24) in [0, 1], output logits\n"
    )
    assert plain(written) == [(("Identity", "net.onnx", (24, 24)), {})]
    given, _ = reached(
        monkeypatch, "softjpeg.cli.export:check_outputs", "export", "the-run", "--out", "net.onnx"
    )
    assert given == [{"--out": "net.onnx"}, ["the-run", None]]


TRAIN = ("train", "r.toml", "--out", "runs")


def test_training(folder, monkeypatch):
    pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")
    place = "softjpeg.training.experiment:load_experiment"
    given, options = reached(monkeypatch, place, *TRAIN)
    assert given == ["r.toml", "runs"]
    assert options == {"variants": ["jpeg-dl"], "settings": [], "jpeg_at": None}
    words = ("--variant", "baseline, hard", "--jpeg-at", "layer1", "--skip-bad")
    sets = ("--set", "train.epochs=1", "--set", "data.size=8")
    _given, options = reached(monkeypatch, place, *TRAIN, *words, *sets)
    assert options == {
        "variants": ["baseline", "hard"],
        "settings": ["train.epochs=1", "data.size=8", "data.skip_bad=true"],
        "jpeg_at": "layer1",
    }
    spy(monkeypatch, place, lambda *_, **__: "the experiment")
    for words, seeds in (((), (0,)), (("--seeds", "3,1"), (3, 1))):
        given, options = reached(monkeypatch, "softjpeg.training.runs:sweep", *TRAIN, *words)
        assert given == ["the experiment", seeds]
        assert options["progress"] is True
        assert (options["group"].rank, options["group"].leads) == (0, True)


def test_what_was_trained(folder, monkeypatch):
    pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")
    Path("runs").mkdir()
    experiment = SimpleNamespace(expected="expected")
    spy(monkeypatch, "softjpeg.training.experiment:load_experiment", lambda *_, **__: experiment)
    spy(monkeypatch, "softjpeg.training.runs:sweep", lambda *_, **__: ["results"])
    shown = spy(monkeypatch, "softjpeg.training.summary:table", lambda *_: "the table")
    saved = spy(monkeypatch, "softjpeg.training.summary:save_summary", lambda *_: None)
    result = call(*TRAIN)
    assert shown == [((["results"], "expected"), {})]
    assert saved == [((["results"], Path("runs/summary.json"), {"recipe": "r.toml"}), {})]
    assert result.stdout == (
        "the table\nwrote runs/summary.json and a folder for each run in runs\n"
    )


def test_a_training_that_is_stopped(folder, monkeypatch):
    pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")
    from softjpeg.common.interrupt import StoppedBySignalError

    def stopped(*_words, **_options):
        raise StoppedBySignalError("stopped after step 5", 143)

    spy(monkeypatch, "softjpeg.training.experiment:load_experiment", lambda *_, **__: None)
    spy(monkeypatch, "softjpeg.training.runs:sweep", stopped)
    result = call(*TRAIN)
    assert result.stderr == "softjpeg: stopped after step 5\n"
    assert result.exit_code == 143


def test_rows_of_manifests(folder, monkeypatch):
    written = spy(monkeypatch, "softjpeg.corpus.manifest_table:write_table", lambda *_: 42)
    result = call("manifest", "photos", "--out", "m.parquet")
    assert (result.exit_code, result.stdout) == (0, "wrote m.parquet: 42 rows\n")
    assert written == [((Path("photos"), Path("m.parquet")), {})]
    said = refusal("manifest", "photos", "--out", "m.json")
    assert said == "--out must end in .parquet, got 'm.json'"
    assert "the folder no does not exist" in refusal("manifest", "x", "--out", "no/m.parquet")
