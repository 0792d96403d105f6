"""What commands share: numbers, sentences, outputs, tables by name, and what is said at the end."""

import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer

from helpers.calls import spy
from helpers.commands import call
from helpers.small_folder import fill
from softjpeg.cli import outputs, remarks
from softjpeg.cli.app import TRUSTED, commands, numbers, sentence, show
from softjpeg.common.image_warning import ImageWarning


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


# The application


def test_integers():
    assert numbers("--x", "1, 20,-3") == (1, 20, -3)
    for text in ("", "1,", "1.5", "a"):
        with pytest.raises(ValueError, match=r"^--x must be integers with commas between, got '"):
            numbers("--x", text)


def test_sentences():
    assert sentence(ValueError("a\n  b\tc")) == "a b c"
    assert sentence(OSError(2, "No such file", "x")) == "x: No such file"
    assert sentence(OSError(2, "No such file")) == "[Errno 2] No such file"
    assert sentence(OSError("odd")) == "odd"
    assert sentence(OSError(2, "", "x")).startswith("[Errno 2]")


@pytest.mark.parametrize(("columns", "width"), [(40, 120), (200, 200)])
def test_a_file_has_no_right_edge(monkeypatch, capsys, columns, width):
    monkeypatch.setenv("COLUMNS", str(columns))
    show("x " * 150)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) in (width - 1, width)


@pytest.mark.parametrize("policy", [None, "active"])
def test_threads_wait_passively_unless_told_otherwise(folder, monkeypatch, policy):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    assert call("--trust", "net.py", "--trust", "x.py", "inspect", "preset.json").exit_code == 0
    assert os.environ["OMP_WAIT_POLICY"] == (policy or "passive")
    assert TRUSTED.get() == (Path("net.py"), Path("x.py"))
    call("inspect", "preset.json")
    assert TRUSTED.get() == ()
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)


def test_the_page_of_commands():
    lines = call("--help").stdout.splitlines()
    at = lines.index("Commands:")
    listed = [
        line.split()[0] for line in lines[at + 1 :] if line.startswith("  ") and line[2] != " "
    ]
    assert listed == [info.callback.__name__ for info in commands.registered_commands]
    assert any("Learn, encode and evaluate on a few photos, offline" in line for line in lines)
    # The first paragraph alone.
    assert "NETWORK+ADAPTER.safetensors reads each file" not in " ".join(lines)
    assert call().exit_code == 2
    assert call("--version").stdout.startswith("softjpeg ")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt("all is kept"), 130, "softjpeg: all is kept\n"),
        (ImportError("no such package"), 2, "softjpeg: no such package\n"),
        (OSError(13, "Permission denied", "x"), 2, "softjpeg: x: Permission denied\n"),
        (typer.Exit(7), 7, ""),
    ],
)
def test_how_a_command_ends(monkeypatch, error, code, said):
    def ended(out, *, seed):
        raise error

    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", SimpleNamespace(run=ended))
    result = call("demo")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", said)


def test_a_pipe_that_is_closed_is_no_error_of_ours(monkeypatch):
    def ended(out, *, seed):
        raise BrokenPipeError

    monkeypatch.setitem(sys.modules, "softjpeg.cli.demo_steps", SimpleNamespace(run=ended))
    assert "softjpeg:" not in call("demo").stderr


# Remarks


def test_remarks_are_said_once_for_each_reason(capsys):
    with remarks.remarks_said():
        for reason, path in (("odd", "a"), ("dark", "b"), ("odd", "c"), ("odd", "a")):
            warnings.warn(ImageWarning(reason, path), stacklevel=1)
        warnings.simplefilter("always", UserWarning)
        warnings.warn("another\n  matter", stacklevel=1)
        assert capsys.readouterr().err == "softjpeg: another matter\n"
    assert capsys.readouterr().err == "softjpeg: odd (2): a, c\nsoftjpeg: dark (1): b\n"

    def failing():
        with remarks.remarks_said():
            warnings.warn(ImageWarning("odd", "a"), stacklevel=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert capsys.readouterr().err == "softjpeg: odd (1): a\n"


def test_remarks_of_forked_processes_are_said_at_once_and_once(capfd):
    with remarks.remarks_said():
        for path in ("a", "b"):
            process = os.fork()
            if not process:
                warnings.warn(ImageWarning("odd", path), stacklevel=1)
                warnings.warn(ImageWarning("odd", path), stacklevel=1)
                sys.stderr.flush()
                os._exit(0)
            os.waitpid(process, 0)
    assert capfd.readouterr().err == "softjpeg: odd (1): a, and maybe others\n"


# Outputs


def test_outputs_and_inputs(folder):
    outputs.check_outputs({"--out": Path("new.json"), "--page": None})
    outputs.check_outputs({"--out": Path("photos/new.png")}, ["net.py:small", "photos", None])
    for given in (
        *("photos", "photos/0.png", Path("photos")),
        *("timm:any@photos/0.png", "photos/0.png:factory"),
    ):
        with pytest.raises(ValueError, match=r"--x photos/0\.png would be written over the input"):
            outputs.check_outputs({"--x": Path("photos/0.png")}, [None, "", given])
    # A network's other files lie beside it.
    Path("run").mkdir()
    Path("run/best.safetensors").touch()
    with pytest.raises(ValueError, match=r"over the input run/best\.safetensors"):
        outputs.check_outputs({"--x": Path("run/best.safetensors")}, ["run"])
    with pytest.raises(ValueError, match=r"^--y new\.json: --x writes to the same file$"):
        outputs.check_outputs({"--x": Path("new.json"), "--y": Path("new.json")})


def test_pages(folder):
    outputs.check_page(None)
    outputs.check_page(Path("x.html"))
    with pytest.raises(ValueError, match=r"^--page must end in \.html, got 'x\.htm'$"):
        outputs.check_page(Path("x.htm"))


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_pages_need_packages(monkeypatch, package):
    asked = spy(monkeypatch, "softjpeg.common.extras:import_extra", lambda *_, **__: None)
    outputs.check_page(Path("x.html"))
    assert ((package,), {"extra": "report"}) in asked


def test_how_to_go_on(folder):
    words = "interrupted; nothing was written (with --checkpoint FILE the same command goes on)"
    assert outputs._how_to_go_on(None) == words
    assert outputs._how_to_go_on(Path("state.bin")) == words
    Path("state.bin").touch()
    assert outputs._how_to_go_on(Path("state.bin")) == (
        "interrupted; state.bin is saved, and the same command goes on from it"
    )


def test_a_folder_for_outputs(folder):
    Path("photos/.softjpeg-left.tmp").touch()
    outputs.check_output_folder(Path("photos"))
    assert not Path("photos/.softjpeg-left.tmp").exists()
    outputs.check_output_folder(Path("absent"))
    with pytest.raises(ValueError, match=r"^--out net\.py: this is not a folder$"):
        outputs.check_output_folder(Path("net.py"))
