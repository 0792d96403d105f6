"""Every command that writes a file: never over an input, another output, or what is no file."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers import warm
from helpers.commands import call, refusal
from softjpeg.presets.preset import Preset

NETWORK = """
import os, signal
import torch
from torch import nn

class Stopping(nn.Module):
    passes = 0

    def forward(self, x):
        Stopping.passes += 1
        if Stopping.passes == int(os.environ.get("STOP_AT", 0)):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return x

def small():
    torch.manual_seed(0)
    net = nn.Sequential(Stopping(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(3 * 2 * 2, 5))
    net[-1].weight.data *= 20
    net.input_size = 16
    return net
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos with labels and links to all of them, a network and a preset, in the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
        image.save(f"photos/{i}.png")
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{i}.png,0\n" for i in range(6)))
    (tmp_path / "list.txt").write_text("photos/0.png\n")
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "net.onnx").write_bytes(b"mine")
    Preset.from_quality(30).save("p.json")
    (tmp_path / "link").symlink_to("photos")
    os.link("net.py", "hard.json")
    return tmp_path


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


LEARN = ("learn", "net.py:small", "photos", "--target-bpp", 4)
EVALUATE = ("evaluate", "net.py:small", "photos", "--quality", 50, "--labels", "labels.csv")
QUALITIES = ("qualities", "net.py:small", "photos", "--quality", 50, "--labels", "labels.csv")
OVER_AN_INPUT = [
    (LEARN, "--out", "photos/0.png"),
    (LEARN, "--out", "link/0.png"),
    (LEARN, "--out", "hard.json"),
    ((*LEARN, "--labels", "labels.csv"), "--out", "labels.csv"),
    ((*LEARN, "--also", "net.py:small", "--out", "x.json"), "--checkpoint", "net.py"),
    (EVALUATE, "--json", "labels.csv"),
    (EVALUATE, "--csv", "net.py"),
    (EVALUATE, "--plot", "link/3.png"),
    ((*EVALUATE, "--preset", "p.json"), "--json", "p.json"),
    (("evaluate", "net.py:small", "list.txt", "--quality", 50), "--csv", "list.txt"),
    (("evaluate", "net.py:small", "list.txt", "--quality", 50), "--plot", "photos/0.png"),
    (QUALITIES, "--out", "photos/1.png"),
    ((*QUALITIES, "--out", "x.html"), "--json", "labels.csv"),
    (("plot", "p.json"), "--out", "p.json"),
    (("export", "net.onnx"), "--out", "net.onnx"),
]


@pytest.mark.parametrize(("words", "option", "file"), OVER_AN_INPUT)
def test_never_over_an_input(folder, words, option, file):
    before = files(folder)
    message = refusal(*words, option, file)
    assert message.startswith(f"{option} {file} would be written over the input ")
    assert files(folder) == before


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (LEARN, "--out"),
        ((*LEARN, "--out", "x.json"), "--checkpoint"),
        (EVALUATE, "--json"),
        (EVALUATE, "--csv"),
        (EVALUATE, "--plot"),
        (QUALITIES, "--out"),
        ((*QUALITIES, "--out", "x.html"), "--json"),
        (("plot", "p.json"), "--out"),
        (("export", "run"), "--out"),
        (("attack", "run"), "--json"),
        (("attack", "run"), "--plot"),
    ],
)
def test_what_is_no_regular_file_is_left_alone(folder, words, option):
    os.mkfifo("pipe")
    (folder / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        assert refusal(*words, option, name) == (
            f"{option} {name}: this is no regular file, and is left alone"
        )
    assert refusal(*words, option, "photos") == f"{option} photos: this is a folder, not a file"
    assert (folder / "pipe").is_fifo()
    assert (folder / "null").is_symlink()


def test_two_outputs_are_two_files(folder):
    assert refusal(*EVALUATE, "--json", "x", "--csv", "photos/../x") == (
        "--csv photos/../x: --json writes to the same file"
    )
    assert refusal(*LEARN, "--out", "x", "--checkpoint", "x").endswith("writes to the same file")


@pytest.mark.parametrize("command", ["train", "demo"])
def test_a_folder_that_is_a_file(folder, command):
    words = ("train", "none.toml") if command == "train" else ("demo",)
    assert refusal(*words, "--out", "p.json") == "--out p.json: this is not a folder"


def test_an_output_may_lie_beside_the_images(folder):
    for _ in range(2):
        result = call(*EVALUATE, "--json", "photos/points.json")
        assert result.exit_code == 0, result.output


def test_names_that_are_no_text_in_pages(folder):
    strange = os.fsdecode(b"caf\xe9")
    shutil.move("photos/0.png", f"photos/{strange}.png")
    (folder / "labels.csv").write_bytes(
        b"file,label\ncaf\xe9.png,0\n" + b"".join(b"%d.png,0\n" % i for i in range(1, 6))
    )
    for file in ("x.html", "x.svg"):
        result = call(*EVALUATE[:5], "--plot", file, "--csv", "x.csv", "--json", "x.json")
        assert result.exit_code == 0, result.output
    result = call("qualities", "net.py:small", "photos", "--labels", "folders", "--out", "q.html")
    assert result.exit_code == 2
    shutil.move("photos", strange)
    words = ("evaluate", "net.py:small", strange, "--quality", 50, "--plot", "y.html")
    assert call(*words, "--json", "y.json").exit_code == 0
    assert b"caf\\udce9" in (folder / "y.html").read_bytes()


# Interrupted, and not alone


def stopped(number, at, *words):
    """A command that gets a signal when its network reads for the `at`-th time."""
    env = {**os.environ, "SIGNAL": str(int(number)), "STOP_AT": str(at)}
    return warm.run("-m", "softjpeg", *words, env=env)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_learning_stopped_by_a_signal_says_how_to_go_on(folder, number, code):
    words = (*LEARN, "--subsampling", "4:4:4", "--batch-size", 3)
    done = stopped(number, 9, *words, "--out", "x.json")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr == (
        "softjpeg: interrupted; nothing was written (with --checkpoint FILE the same command goes "
        "on)\n"
    )
    words = (*words, "--checkpoint", "state.bin")
    done = stopped(number, 9, *words, "--out", "x.json")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr == (
        "softjpeg: interrupted; state.bin is saved, and the same command goes on from it\n"
    )
    assert not (folder / "x.json").exists()
    assert call(*words, "--out", "x.json").exit_code == 0
    assert call(*words[:-2], "--out", "y.json").exit_code == 0
    assert Preset.load("x.json").luma.tolist() == Preset.load("y.json").luma.tolist()
    assert not [name for name in os.listdir() if name.endswith((".tmp", ".lock"))]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_evaluating_stopped_by_a_signal_writes_nothing(folder, number, code):
    done = stopped(number, 3, *EVALUATE, "--json", "x.json", "--plot", "x.html")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr == (
        "softjpeg: interrupted; what was written is whole, and the same command goes on or begins "
        "anew\n"
    )
    assert not {"x.json", "x.html"} & set(os.listdir())


HOLDING = """
import sys
from softjpeg.common.locks import sole_writer
with sole_writer(sys.argv[1]):
    print("inside", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (("learn", "--target-bpp", 2, "--out", "x.json"), "x.json"),
        (("learn", "--target-bpp", 2, "--out", "x.json"), "state.bin"),
        (("adapt", "--out", "x.safetensors"), "x.safetensors"),
        (("adapt", "--out", "x.safetensors"), "state.bin"),
    ],
)
def test_two_that_write_one_file(folder, command, file):
    words = [sys.executable, "-c", HOLDING, file]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        name, *options = command
        message = refusal(name, *LEARN[1:3], *options, "--checkpoint", "state.bin")
        other.kill()
    assert message.startswith(f"{file} is being written by process {other.pid} on ")


def test_what_a_killed_run_left_beside_a_file_is_removed_by_the_next(folder):
    (folder / ".softjpeg-left.tmp").touch()
    assert call(*EVALUATE, "--json", "x.json").exit_code == 0
    assert not (folder / ".softjpeg-left.tmp").exists()


def test_and_in_a_folder_of_runs(folder):
    (folder / "runs").mkdir()
    (folder / "runs/.softjpeg-left.tmp").touch()
    (folder / "runs/summary.json").touch()
    assert "missing.toml" in refusal("train", "missing.toml", "--out", "runs")
    assert os.listdir("runs") == ["summary.json"]


# What is left out of a folder, or of an image


@pytest.mark.parametrize(
    "words",
    [
        (*EVALUATE[:5], "--json", "x.json"),
        (*EVALUATE[:5], "--crops"),
        (*LEARN[:3], "--rate-weight", 0.1, "--out", "x.json"),
        (*QUALITIES, "--out", "x.html"),
    ],
)
def test_every_command_says_what_it_does_not_read(folder, monkeypatch, words):
    import softjpeg

    monkeypatch.setitem(vars(softjpeg), "learn", learned)
    (folder / "photos" / "a.gif").touch()
    (folder / "photos" / "9.png").symlink_to("/dev/zero")
    Image.new("RGBA", (16, 16)).save("photos/5.png")
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert sorted(result.stderr.splitlines()) == [
        "softjpeg: left out, a link out of the folder (--follow-links follows it) (1): "
        "photos/9.png",
        "softjpeg: left out, of a suffix that is not read (1): photos/a.gif",
        "softjpeg: what is transparent is composed on the background 255,255,255 (1): photos/5.png",
    ]


def learned(model, images, **options):
    """What `learn` reads, without learning."""
    assert [tuple(image.shape) for image in images] == [(3, 16, 16)] * 6
    judged = {"loss": 0.25, "bpp": 0.5, "default_loss": 0.375, "default_bpp": 0.5}
    facts = {"judged": judged, "loss_kind": "KL", "bpp": 0.75, "target_bpp": 0.5}
    return Preset(*(np.full((8, 8), 9),) * 2, provenance={"learned": facts})


def test_links_are_followed_on_demand_by_every_command(folder):
    (folder / "more").mkdir()
    shutil.move("photos/5.png", "more/5.png")
    (folder / "photos" / "5.png").symlink_to("../more/5.png")
    for words in (EVALUATE, (*EVALUATE, "--crops")):
        result = call(*words, "--follow-links", "--json", "x.json")
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        assert '"count": 6' in (folder / "x.json").read_text()


# Libjpeg's own tables as a preset


def test_default_is_a_preset_for_evaluate_as_for_encode(folder):
    import json

    words = (*EVALUATE[:3], "--preset", "default", "--quality", "20,80", "--json", "x.json")
    result = call(*words, "--subsampling", "4:2:0")
    assert result.exit_code == 0, result.output
    found = {p["name"]: p["images"] for p in json.loads((folder / "x.json").read_text())["points"]}
    for quality in (20, 80):
        assert found[f"preset default q {quality}"] == found[f"default q {quality}"]
