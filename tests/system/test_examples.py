"""The examples run, and learn something, on the random weights they say they have."""

import importlib.util
import os
import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from helpers import warm
from softjpeg.common.image_planes import picture_of

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def beside(monkeypatch):
    """As when Python runs a file of that folder."""
    pytest.importorskip("torchvision", reason="softjpeg[models] is not installed")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", ["example.py"])


@pytest.mark.parametrize("name", ["embedding", "segmentation", "detection"])
def test_example(beside, capsys, name):
    preset = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()
    learned = preset.provenance["learned"]
    assert learned["bpp"] == pytest.approx(1.5, rel=0.05)
    # It may lose a little where it saves more: what counts is loss + λ·rate.
    judged, price = learned["judged"], learned["rate_weight"]
    assert judged["loss"] > 0
    cost = judged["loss"] + price * judged["bpp"]
    assert cost <= judged["default_loss"] + price * judged["default_bpp"]
    assert "on this network, 4:2:0 default tables cost custom" in capsys.readouterr().out


def test_example_on_the_command_line(beside, tmp_path):
    from softjpeg.cli import app

    pictures = runpy.run_path(str(EXAMPLES / "pictures.py"))["pictures"]
    for i, pixels in enumerate(pictures(64, 4)):
        image: Image.Image = picture_of(pixels)
        image.save(tmp_path / f"{i}.png")
    file = EXAMPLES / "segmentation.py"
    words = ["learn", f"{file}:network", str(tmp_path), "--loss", f"{file}:loss"]
    words += ["--target-bpp", "2", "--out", str(tmp_path / "preset.json")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "default tables cost custom" in result.output


SCRIPTS = {
    "hf_datasets": ("datasets", r"(\d+) bytes became (\d+)"),
    "lightning_module": ("lightning", r"luma DC step (8\.\d+|7\.\d+)"),
    "onnx_layer": ("onnxruntime", r"largest difference (\d\.\de-\d+)"),
    "pillow_drop_in": ("PIL", r"default tables (\d+) bytes, learned tables (\d+) bytes"),
    "timm_network": ("timm", r"loss (\S+) to (\S+), tables moved by up to (\S+)"),
    "webdataset_shards": ("webdataset", r"(\d+) bytes became (\d+)"),
}
"""The package that each is about, and what it says."""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The numbers that a script says, run as a user runs it."""

    def run(name):
        package, words = SCRIPTS[name]
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
        folder = tmp_path_factory.mktemp(name)
        offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "TMPDIR": str(folder)}
        done = warm.run(EXAMPLES / f"{name}.py", env={**os.environ, **offline})
        assert done.returncode == 0, done.stderr
        found = re.search(words, done.stdout)
        assert found, done.stdout
        return [float(number) for number in found.groups()]

    return run


@pytest.mark.parametrize("name", ["hf_datasets", "webdataset_shards"])
def test_files_become_smaller(said, name):
    before, after = said(name)
    assert 0 < after < before


def test_pillow_writes_other_files(said):
    default, learned = said("pillow_drop_in")
    assert default != learned


def test_tables_train(said):
    first, last, moved = said("timm_network")
    assert last < first
    assert moved > 0
    (step,) = said("lightning_module")
    assert step != 8


def test_onnx_runtime_gives_the_same_answers(said):
    assert said("onnx_layer")[0] < 1e-4


@pytest.mark.parametrize("name", [*SCRIPTS, "detection", "embedding", "segmentation"])
def test_scripts_name_what_they_need_and_are_short(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert len(text.splitlines()) < 70
    assert text.startswith("# /// script\n")
    assert '"softjpeg' in text.partition("# ///\n")[0]
