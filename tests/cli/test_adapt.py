"""``softjpeg adapt`` and NETWORK+ADAPTER.safetensors, end to end on a tiny network."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import softjpeg
from helpers.adapting import NETWORK
from helpers.commands import call, refusal
from helpers.images import photos
from softjpeg.cli.adapters import split_adapter
from softjpeg.common.image_planes import picture_of
from softjpeg.models.network import load_network
from softjpeg.presets.preset import Preset

FAST = ("--quality", "10..50", "--epochs", 8, "--learning-rate", 0.05, "--batch-size", 8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos to adapt on and to judge on, and two networks, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("photos", 0), ("others", 9)):
        (tmp_path / name).mkdir()
        for i, image in enumerate(photos(48 if name == "photos" else 8, 40, seed)):
            picture_of(image).save(f"{name}/{i:02}.png")
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


def test_adapt_and_evaluate(folder):
    result = call(
        "adapt", "net.py:small", "photos", "--out", "a.safetensors", *FAST, "--page", "a.html"
    )
    assert result.exit_code == 0, result.output
    assert "softjpeg adapt net.py:small" in (folder / "a.html").read_text()
    assert "On images that did not train" in result.stdout
    assert "wrote a.safetensors (16 weights)" in result.stdout
    adapter = softjpeg.Adapter.load("a.safetensors")
    facts = adapter.provenance
    assert (facts["network"], facts["images"], facts["count"]) == ("net.py:small", "photos", 48)
    assert facts["preprocessing"]["crop"] == [32, 32]
    for figure in facts["figures"]:
        assert f"{figure['frozen']:.4f}" in result.stdout
    adapter.check(load_network("net.py:small").module)

    result = call(
        *("evaluate", "net.py:small+a.safetensors", "others", "--reader", "net.py:small"),
        *("--quality", "15,60", "--subsampling", "4:2:0", "--json", "points.json"),
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((folder / "points.json").read_text())["points"]
    kls = {(row["reader"], row["name"]): row["kl"] for row in rows}
    adapted, frozen = "net.py:small+a.safetensors", "net.py:small"
    assert kls[adapted, "default q 15"] < 0.9 * kls[frozen, "default q 15"]
    assert kls[adapted, "uncompressed"] == kls[frozen, "uncompressed"] == 0
    # Bytes for bytes the same run.
    whole = (folder / "a.safetensors").read_bytes()
    call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *FAST)
    assert (folder / "a.safetensors").read_bytes() == whole


def test_a_preset_and_crops(folder):
    Preset.from_quality(12).save("p.json")
    fast = FAST[2:]
    options = ("--preset", "p.json", "--crops", "--checkpoint", "run.safetensors", *fast)
    result = call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *options)
    assert result.exit_code == 0, result.output
    adapter = softjpeg.Adapter.load("a.safetensors")
    assert (adapter.provenance["preset"], adapter.provenance["size"]) == ("p.json", [32, 32])
    assert len(adapter.strength.points) == 1
    assert (folder / "run.safetensors").exists()


def test_the_mode_of_the_files(folder):
    drawn = replace(Preset.from_quality(12), hardness=np.full((2, 8, 8), 4.0))
    drawn.save("p.json")
    out = ("adapt", "net.py:small", "photos", "--out", "a.safetensors", "--preset", "p.json")
    result = call(*out, "--mode", "probabilistic", *FAST[2:])
    assert result.exit_code == 0, result.output
    adapter = softjpeg.Adapter.load("a.safetensors")
    assert adapter.provenance["files"] == "one preset, mode probabilistic"


def test_nothing_gained_nothing_written(folder):
    said = refusal(
        *("adapt", "net.py:small", "photos", "--out", "a.safetensors", "--quality", "10..50"),
        *("--learning-rate", "1e-12", "--epochs", 1),
    )
    assert said.startswith("nothing beat the frozen network beyond chance")
    assert not (folder / "a.safetensors").exists()


def test_tables_and_reader_in_turns(folder):
    for i, image in enumerate(photos(80, 40, seed=1)):
        picture_of(image).save(f"photos/more-{i:02}.png")
    # With features this reader reads default JPEG too well for tables to add anything.
    options = (*FAST, "--feature-weight", 0, "--learn-tables", "ladder.json", "--page", "a.html")
    result = call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *options)
    assert result.exit_code == 0, result.output
    turns = re.findall(
        r"turn (\d): ([+-][\d.]+) % of the bytes saved .*, (kept|not kept)", result.stdout
    )
    assert [turn for turn, _, _ in turns][:1] == ["1"]
    kept = [share for _, share, word in turns if word == "kept"]
    assert kept, result.stdout
    assert all(float(share) > 0 for share in kept)
    assert "wrote ladder.json" in result.stdout
    adapter, ladder = softjpeg.Adapter.load("a.safetensors"), softjpeg.Ladder.load("ladder.json")
    assert adapter.provenance["files"] == "a ladder, qualities 10 to 50"
    assert ladder.provenance["network"] == "net.py:small"
    assert (ladder.at(30).luma != Preset.from_quality(30).luma).any()


def test_refusals(folder):
    adapt = ("adapt", "net.py:small", "photos", "--out")
    assert refusal(*adapt, "a.json") == "--out must end in .safetensors, got 'a.json'"
    assert "the folder nowhere does not exist" in refusal(*adapt, "nowhere/a.safetensors")
    out = (*adapt, "a.safetensors")
    said = refusal(*out, "--quality", "10,50")
    assert said == "--quality must be LOWEST..HIGHEST, as 6..90, got '10,50'"
    assert "in 1..100, got (50, 10)" in refusal(*out, "--quality", "50..10")
    Preset.from_quality(12).save("p.json")
    said = refusal(*out, "--learn-tables", "l.json", "--preset", "p.json")
    assert said.startswith("p.json is one preset: --learn-tables goes on from a ladder")
    assert refusal(*out, "--mode", "rdo") == (
        "--mode rdo needs a --preset: default JPEG is written in hard"
    )
    said = refusal(*out, "--learn-tables", "ladder.txt")
    assert said == "--learn-tables must end in .json, got 'ladder.txt'"
    said = refusal(*out, "--quality", "10..50", "--preset", "p.json")
    assert said == "p.json is one preset, which has no --quality 10..50 to choose"


def test_an_adapter_from_the_hub(folder, monkeypatch):
    hub_file = pytest.importorskip("huggingface_hub", reason="softjpeg[hub] is not installed")
    call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *FAST)
    monkeypatch.setattr(hub_file, "hf_hub_download", lambda name, file, revision: "a.safetensors")
    words = ("others", "--quality", "15")
    local = call("evaluate", "net.py:small+a.safetensors", *words)
    result = call("evaluate", "net.py:small+hub:org/reader", *words)
    assert result.exit_code == 0, result.output
    figures = [line for line in local.stdout.splitlines() if "q 15" in line]
    assert figures
    assert figures == [line for line in result.stdout.splitlines() if "q 15" in line]


def test_adapters_of_other_networks_and_other_commands(folder):
    call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *FAST)
    said = refusal("evaluate", "net.py:other+a.safetensors", "others", "--quality", "15")
    assert said.startswith("a.safetensors does not fit net.py:other: the adapter belongs to anoth")
    said = refusal("evaluate", "net.py:small+b.safetensors", "others", "--quality", "15")
    assert said == "adapter b.safetensors does not exist"
    said = refusal("export", "net.py:other+a.safetensors", "--out", "net.onnx")
    assert said.startswith("a.safetensors does not fit net.py:other: the adapter belongs to anoth")
    said = refusal("export", "net.py:small+a.safetensors", "--out", "net.json")
    assert said == "--out must end in .onnx for a network with an adapter, got 'net.json'"
    learn = ("learn", "net.py:small+a.safetensors", "photos", "--out", "p.json")
    assert "only evaluate reads files" in refusal(*learn, "--target-bpp", 2)


def test_exported_with_the_strength_as_an_input(folder):
    runtime = pytest.importorskip("onnxruntime", reason="softjpeg[export] is not installed")
    call("adapt", "net.py:small", "photos", "--out", "a.safetensors", *FAST)
    result = call("export", "net.py:small+a.safetensors", "--out", "net.onnx")
    assert result.exit_code == 0, result.output
    assert "inputs RGB (batch, 3, 32, 32) in [0, 1] and strength (1,)" in result.stdout
    session, x = runtime.InferenceSession("net.onnx"), photos(2, 32) / 255
    network, adapter = load_network("net.py:small").module, softjpeg.Adapter.load("a.safetensors")
    frozen = network(x)
    adapter.apply(network, 0.6)
    for strength, expected in ((0.0, frozen), (0.6, network(x))):
        (got,) = session.run(
            None, {"image": x.numpy(), "strength": torch.tensor([strength]).numpy()}
        )
        assert torch.allclose(torch.from_numpy(got), expected, atol=1e-4)


def test_names_with_a_plus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_adapter("timm:x@w.pth+a.safetensors") == ("timm:x@w.pth", "a.safetensors")
    assert split_adapter("timm:x@w.pth+hub:org/a") == ("timm:x@w.pth", "hub:org/a")
    assert split_adapter("hub:org/a") == ("hub:org/a", None)
    assert split_adapter("c++/net.py:small") == ("c++/net.py:small", None)
    Image.new("RGB", (2, 2)).save("a+b.safetensors", "png")
    for name in ("a+b.safetensors", "timm:x@a+b.safetensors"):
        assert split_adapter(name) == (name, None)
