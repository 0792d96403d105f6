"""--short-side and --center, in every command: files as small as asked, and read as such."""

import json

import pytest
import torch
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import as_tensor, smooth_image
from softjpeg import Preset, encode
from softjpeg.codec.adaptive_quality import storing
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.file_sizes import file_bytes
from softjpeg.jpeg.info import read_info
from softjpeg.presets.loading import load

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

def centre():
    net = Coarse()
    net.input_size, net.resize = 48, 96
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


def test_every_file_under_so_many_bytes(folder):
    words = ("encode", "photos", "--max-bytes", 1200, "--center", 0.7, "--manifest", "--preset")
    ladder = storing(load("universal"), center=0.7)
    limits = {
        "default": ByteLimit(1200, storing(Preset.from_quality(50), center=0.7)),
        "universal": ByteLimit(1200, ladder, 30),
    }
    for name, limit in limits.items():
        more = () if name == "default" else ("--quality", 30)
        result = call(*words, name, *more, "--out", name, "--jobs", 2)
        assert result.exit_code == 0, result.output
        rows = (folder / name / "manifest.jsonl").read_text().splitlines()[1:]
        told = {row["key"]: (row["quality"], row["bytes"]) for row in map(json.loads, rows)}
        for i in range(4):
            with Image.open(f"photos/{i}.png") as image:
                data, quality = limit.encoded(image)
            assert (folder / name / f"{i}.jpg").read_bytes() == data
            assert len(data) <= 1200
            assert told[f"{i}.png"] == (quality, len(data))
    coarse = ("--subsampling", "4:4:4", "--out", "coarse")
    assert call(*words, "default", *coarse).exit_code == 0
    assert read_info((folder / "coarse/0.jpg").read_bytes()).subsampling == "4:4:4"


def test_files_that_no_quality_makes_small_enough(folder):
    Image.effect_noise((600, 600), 80).save("photos/noise.png")
    small = ("encode", "photos", "--preset", "default", "--max-bytes", 1200, "--out", "out")
    result = call(*small, "--manifest")
    assert result.exit_code == 3
    assert "photos/noise.png: no quality has at most 1,200 bytes: quality 1 has" in result.stderr
    assert not (folder / "out/noise.jpg").exists()
    assert len(sizes(folder / "out")) == 4
    rows = (folder / "out/manifest.jsonl").read_text().splitlines()
    (failed,) = (row for row in map(json.loads, rows) if row.get("status") == "failed")
    assert (failed["key"], failed["error"]) == ("noise.png", "limit-output")


def test_limits_of_bytes_that_are_none(folder):
    Preset.from_quality(30).save("p.json")
    encode_to = ("encode", "photos", "--out", "out", "--max-bytes")
    said = refusal(*encode_to, 900, "--preset", "p.json")
    assert said == "p.json is one preset: a limit of bytes chooses among a ladder's or default's"
    said = refusal(*encode_to, 0, "--preset", "default")
    assert said == "--max-bytes must be at least 1, got 0"
    said = refusal(*encode_to, 99, "--preset", "default")
    assert said.startswith("no quality has at most 99 bytes: quality 1 has")
    said = refusal(*encode_to, 900, "--preset", "universal", "--subsampling", "4:4:4")
    assert said == "universal is learned for 4:2:0, got --subsampling 4:4:4"
    said = refusal(*encode_to, 900, "--network", "net.py:coarse")
    assert said.startswith("--seconds, --max-bytes, --max-pixels, --max-source-bytes, ")
    assert not (folder / "out").exists()


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
    assert refused == "--effort repair stores images whole: --short-side keep, --center none"


def test_the_centre_alone(folder):
    words = ("encode", "photos", "--preset", "default", "--quality", "40", "--center", "0.5")
    assert call(*words, "--out", "a").exit_code == 0
    own = Preset.from_quality(40)
    preset = Preset(own.luma, own.chroma, center=0.5)
    with Image.open("photos/0.png") as image:
        assert (folder / "a" / "0.jpg").read_bytes() == encode(image, preset)
    preset.save("center.json")
    words = ("encode", "photos", "--preset", "center.json", "--center", "none", "--out", "b")
    assert call(*words).exit_code == 0
    with Image.open("photos/0.png") as image:
        assert (folder / "b" / "0.jpg").read_bytes() == encode(image, own)
    assert "the middle 0.5 of the shorter side" in call("inspect", "center.json").stdout
    for bad in ("0", "1.1", "wide", "auto", "nan"):
        words = ("encode", "photos", "--preset", "default", "--quality", 40, "--out", "none")
        assert refusal(*words, "--center", bad) == (
            f"--center must be none or a share above 0, at most 1, got {bad!r}"
        )
    assert not (folder / "none").exists()


def test_learned_for_what_a_network_reads_and_judged_beside_the_whole(folder):
    words = ("learn", "net.py:centre", "photos", "--target-bpp", 1, "--center", "auto")
    result = call(*words, "--batch-size", 1, "--out", "learned.json")
    assert result.exit_code == 0, result.output
    assert Preset.load("learned.json").center == 0.5
    assert "of blocks outside the middle 0.5 of the shorter side" in result.stdout
    result = call(
        *("evaluate", "net.py:centre", "photos", "--preset", "default", "--against", "webp"),
        *("--quality", "20,50", "--subsampling", "4:2:0", "--center", 0.5, "--json", "points.json"),
    )
    assert result.exit_code == 0, result.output
    body = json.loads((folder / "points.json").read_text())
    assert body["provenance"]["center"] == 0.5
    found = {(p["curve"], p["name"].removesuffix(", center")): p for p in body["points"]}
    for curve, name in (("default", "preset default q 20"), ("webp", "webp q 50")):
        whole, centre = found[curve, name], found[f"{curve}, center", name]
        assert centre["bytes_per_file"] < 0.9 * whole["bytes_per_file"]
        if curve == "default":
            # A JPEG's blocks are coded one by one; other formats predict from one to the next.
            assert centre["kl"] == pytest.approx(whole["kl"], rel=1e-6)
    with_loop = call(
        *("encode", "photos", "--network", "net.py:centre", "--keep", "top1", "--out", "out"),
        *("--preset", "default", "--quality", "20,60", "--center", "0.5", "--manifest"),
    )
    assert with_loop.exit_code == 0, with_loop.output
    whole = call(
        *("encode", "photos", "--network", "net.py:centre", "--keep", "top1", "--out", "whole"),
        *("--preset", "default", "--quality", "20,60", "--manifest"),
    )
    assert whole.exit_code == 0, whole.output
    size = {f: sum(p.stat().st_size for p in (folder / f).glob("*.jpg")) for f in ("out", "whole")}
    assert size["out"] < size["whole"]


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
