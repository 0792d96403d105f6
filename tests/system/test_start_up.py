"""What starting costs: by what is imported and built, never by a clock."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from softjpeg.cli import app
from softjpeg.cli.app import commands


def modules_after(code):
    """The names of the modules that a fresh interpreter has after running some code."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_is_light(words):
    run = f"import softjpeg.cli\ntry: softjpeg.cli.app({words})\nexcept SystemExit: pass"
    loaded = modules_after(run)
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "timm", "torchvision", "rich", "pygments"}


def test_import_is_light():
    before, after = modules_after("import importlib"), modules_after("import softjpeg")
    assert {name for name in after - before if name.startswith("softjpeg")} == {"softjpeg"}
    assert not after & {"torch", "numpy", "PIL", "typer"}


def test_the_layer_does_not_load_the_codec():
    loaded = modules_after("from softjpeg import JPEGLayer")
    assert "torch" in loaded
    assert not loaded & {"softjpeg.codec", "softjpeg.learning", "PIL", "scipy", "typer", "rich"}


def test_the_number_of_threads_is_set_before_what_reads_it_is_loaded():
    root = str(Path(__file__).parents[2])
    loaded = modules_after(f"import sys; sys.path.insert(0, {root!r}); import conftest")
    assert "conftest" in loaded
    assert not loaded & {"torch", "numpy"}


def test_help_says_what_each_command_is_for():
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert commands.registered_commands
    for info in commands.registered_commands:
        first = " ".join(info.callback.__doc__.split("\n\n")[0].split())
        assert f"{info.callback.__name__} {first}" in shown


@pytest.mark.parametrize("info", commands.registered_commands, ids=lambda i: i.callback.__name__)
def test_every_command_has_its_own_page(info):
    result = CliRunner().invoke(app, [info.callback.__name__, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.stdout


def test_a_mistyped_command_is_suggested():
    result = CliRunner().invoke(app, ["encod"])
    assert result.exit_code == 2
    assert "Did you mean 'encode'?" in result.stderr


def test_encode_with_a_preset_needs_no_extra(tmp_path):
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "photo.png")
    extras = ("timm", "torchvision", "matplotlib", "jinja2", "scipy", "huggingface_hub")
    run = f"""
import sys
sys.modules.update(dict.fromkeys({extras}))
from softjpeg.cli import app
try: app(["encode", "photo.png", "--preset", "universal", "--quality", "30", "--out", "jpegs"])
except SystemExit as end: assert not end.code, end.code
"""
    subprocess.run([sys.executable, "-c", run], cwd=tmp_path, check=True)
    with Image.open(tmp_path / "jpegs" / "photo.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (40, 30))
