"""--short-side, in every command that has it: files as small as asked, and read as such."""

import json

import pytest
import torch
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import as_tensor, smooth_image
from softjpeg import Preset, encode
from softjpeg.codec.file_sizes import file_bytes

NETWORK = """
import torch
from torch import nn

class Coarse(nn.Module):
    def forward(self, x):
        means = nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)
        return 40 * (means - means.mean(1, keepdim=True))

def coarse():
    net = Coarse()
    net.input_size, net.resize = 24, 28
    return net
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Four photos of two sizes, and a network that resizes them to 28 and crops 24."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(4):
        smooth_image(96, 120 + 8 * (i % 2), seed=i).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "net.py").write_text(NETWORK)
    return tmp_path


def sizes(folder):
    shown = {}
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            shown[path.stem] = image.size
    return shown


def test_encode_writes_what_the_library_writes(folder):
    for words, side in (("keep", None), ("48", 48), ("400", None)):
        result = call(
            *("encode", "photos", "--preset", "default", "--quality", 40),
            *("--short-side", words, "--out", words),
        )
        assert result.exit_code == 0, result.output
        own = Preset.from_quality(40)
        preset = Preset(own.luma, own.chroma, short_side=side)
        for i in range(4):
            with Image.open(f"photos/{i}.png") as image:
                assert (folder / words / f"{i}.jpg").read_bytes() == encode(image, preset)
    assert sizes(folder / "48")["0"] == (60, 48)


def test_a_preset_says_so_itself_and_the_option_goes_before_it(folder):
    own = Preset.from_quality(40)
    Preset(own.luma, own.chroma, short_side=32).save("small.json")
    assert call("encode", "photos", "--preset", "small.json", "--out", "a").exit_code == 0
    assert sizes(folder / "a")["0"] == (40, 32)
    words = ("encode", "photos", "--preset", "small.json", "--short-side", "keep", "--out", "b")
    assert call(*words).exit_code == 0
    assert sizes(folder / "b")["0"] == (120, 96)
    text = call("inspect", "small.json").stdout
    assert "a shorter side of 32 pixels at most" in text


def test_the_loop_chooses_among_sizes(folder):
    result = call(
        *("encode", "photos", "--network", "net.py:coarse", "--keep", "top1", "--manifest"),
        *("--preset", "default", "--quality", "20,60", "--short-side", "keep,48", "--out", "out"),
    )
    assert result.exit_code == 0, result.output
    lines = (folder / "out" / "manifest.jsonl").read_text().splitlines()
    chosen = {record["encoder"] for line in lines if "encoder" in (record := json.loads(line))}
    assert any("short side 48" in name for name in chosen)
    refused = refusal(
        *("encode", "photos", "--network", "net.py:coarse", "--effort", "repair"),
        *("--preset", "default", "--short-side", "48", "--out", "none"),
    )
    assert refused == "--effort repair keeps the images' own size: give --short-side keep"


def test_learn_and_evaluate(folder):
    result = call(
        *("learn", "net.py:coarse", "photos", "--target-bpp", 1, "--short-side", "auto"),
        *("--batch-size", 1, "--out", "learned.json"),
    )
    assert result.exit_code == 0, result.output
    preset = Preset.load("learned.json")
    assert preset.short_side is not None
    assert "of default JPEG's bytes at equal KL these files save" in result.stdout
    result = call(
        *("evaluate", "net.py:coarse", "photos", "--preset", "learned.json", "--quality", "20,50"),
        *("--subsampling", "4:2:0", "--json", "points.json"),
    )
    assert result.exit_code == 0, result.output
    points = json.loads((folder / "points.json").read_text())["points"]
    (learned,) = (point for point in points if point["name"] == "learned")
    images = [as_tensor(Image.open(f"photos/{i}.png")) for i in range(4)]
    assert learned["bytes_per_file"] == file_bytes(images, preset) / 4
    pixels = sum(image.shape[1] * image.shape[2] for image in images)
    assert learned["bpp"] == pytest.approx(8 * file_bytes(images, preset) / pixels)
    assert torch.tensor(learned["kl"]) > 0


@pytest.mark.parametrize("value", ["auto", "0", "-5", "big", "70000"])
def test_bad_sizes_are_refused_with_their_value(folder, value):
    words = ("encode", "photos", "--preset", "default", "--quality", 40, "--out", "none")
    sentence = refusal(*words, "--short-side", value)
    assert sentence == f"--short-side must be keep or pixels from 1 to 65535, got {value!r}"
    learned = refusal(
        *("learn", "net.py:coarse", "photos", "--target-bpp", 1, "--out", "x.json"),
        *("--short-side", "some"),
    )
    assert learned.startswith("--short-side must be keep, auto or pixels from 1 to 65535, got")
