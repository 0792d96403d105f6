"""The examples run, and learn something, on the random weights they say they have."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from softjpeg.common.image_set import to_image

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
        image: Image.Image = to_image(pixels)
        image.save(tmp_path / f"{i}.png")
    file = EXAMPLES / "segmentation.py"
    words = ["learn", f"{file}:network", str(tmp_path), "--loss", f"{file}:loss"]
    words += ["--target-bpp", "2", "--out", str(tmp_path / "preset.json")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "default tables cost custom" in result.output
