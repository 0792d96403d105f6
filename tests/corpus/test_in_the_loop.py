"""`softjpeg encode` with networks in the loop, and its manifest: files judged by Pillow."""

import hashlib
import json
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from helpers import warm
from helpers.images import smooth_image
from softjpeg import Preset
from softjpeg.cli import app
from softjpeg.codec.closed_loop.candidates import preset_candidates
from softjpeg.codec.closed_loop.judge import Judge
from softjpeg.corpus.in_the_loop import encode_in_the_loop, encode_presets_in_the_loop
from softjpeg.models.fidelity import parse_fidelity
from softjpeg.models.network import load_network

NETWORK = """
import os, signal
import torch
from torch import nn

class Dying(nn.Module):
    runs = 0

    def forward(self, x):
        Dying.runs += 1
        if Dying.runs == int(os.environ.get("DIE_AT_RUN", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        return x

def network(seed, size):
    torch.manual_seed(seed)
    layers = Dying(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3 * (size // 2) ** 2, 30)
    net = nn.Sequential(*layers)
    net.input_size, net.resize = size, size + 4
    return net

def first():
    return network(0, 16)

def second():
    return network(1, 12)
"""
SEARCH = ("--network", "net.py:first", "--effort", 1, "--quality", "3,6,10,20,40,70,90", "--out")


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words):
    result = call("encode", *words)
    assert result.exit_code == 0, result.output + result.stderr
    return result.stdout


def refusal(*words):
    result = call("encode", *words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("softjpeg: ").rstrip("\n")


def picture(path, size=(30, 24), seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth_image(size[1], size[0], seed, cells=7).convert(mode).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    for i in range(5):
        picture(tmp_path / "photos" / f"{i}.png", (30 + 3 * i, 24), seed=i)
    picture(tmp_path / "photos" / "sub" / "gray.png", seed=9, mode="L")
    return tmp_path


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def records(out):
    """Of all manifests the images' lines by their files, and the runs'."""
    paths = out.rglob("manifest.jsonl")
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    runs = {line["run"]: line for line in lines if "settings" in line}
    return {line["file"]: line for line in lines if line.get("status") == "written"}, runs


def answer(name, path):
    """A network's answer to a file, as Pillow reads it."""
    net = load_network(name)
    with Image.open(path) as image:
        image = image.convert("RGB")
    short = min(image.size)
    image = image.resize(tuple(net.resize * side // short for side in image.size), 3)
    left, top = (round((side - net.size[0]) / 2) for side in image.size)
    image = image.crop((left, top, left + net.size[0], top + net.size[0]))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        return net.module(pixels)[0]


# Archives


def test_files_keep_what_the_manifest_says(folder):
    output = done("photos", *SEARCH, "out", "--subsampling", "4:2:0,4:4:4")
    found, runs = records(folder / "out")
    assert sorted(found) == sorted(name for name in files(folder / "out") if name.endswith(".jpg"))
    assert len({record["encoder"] for record in found.values()}) > 1
    for name, record in found.items():
        source, file = folder / "photos" / record["key"], folder / "out" / name
        assert record["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
        assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert record["bytes"] == file.stat().st_size
        with Image.open(source) as original, Image.open(file) as image:
            assert (image.size, image.mode) == (original.size, original.mode)
        same = answer("net.py:first", source).argmax() == answer("net.py:first", file).argmax()
        assert record["kept"] == bool(same)
        assert record["measures"] == {"net.py:first": 0.0 if same else 1.0}
        # The candidate it names writes the same tables.
        _, _, quality, subsampling = record["encoder"].split()
        judge = folder / "judge"
        Preset.from_quality(int(quality), subsampling).save(folder / "p.json")
        done(source, "--preset", "p.json", "--out", judge)
        assert (judge / source.with_suffix(".jpg").name).read_bytes() == file.read_bytes()
    (run,) = runs.values()
    assert run["settings"]["keep"] == "top1"
    assert set(run["versions"]) == {"softjpeg", "torch", "numpy", "Pillow"}
    kept = sum(record["kept"] for record in found.values())
    assert f"{kept} of 6 keep top1" in output


def test_searches_harder_or_for_more(folder):
    sizes = {}
    for name, words in {
        "top1": (),
        "all": ("--effort", "all"),
        "repair": ("--effort", "repair:3"),
        "kl": ("--keep", "kl:1e-4"),
        "two": ("--network", "net.py:second", "--effort", "all"),
    }.items():
        done("photos", *SEARCH, name, *words)
        sizes[name] = sum(record["bytes"] for record in records(folder / name)[0].values())
    assert sizes["all"] <= sizes["top1"] < sizes["kl"]
    assert sizes["repair"] < sizes["all"]
    found, _ = records(folder / "repair")
    assert any(record["encoder"].endswith(" repaired") for record in found.values())
    assert sizes["all"] < sizes["two"]
    found, _ = records(folder / "two")
    assert all(set(r["measures"]) == {"net.py:first", "net.py:second"} for r in found.values())


def test_a_second_run_does_nothing_and_a_change_does_it_again(folder):
    done("photos", *SEARCH, "out")
    before = files(folder / "out")
    age(folder / "out")
    assert "6 images (6 done already)" in done("photos", *SEARCH, "out")
    assert files(folder / "out") == before
    assert len(old(folder / "out")) == 6
    # A file damaged, a file gone, a source changed.
    (folder / "out" / "0.jpg").write_bytes(b"damaged")
    (folder / "out" / "1.jpg").unlink()
    picture(folder / "photos" / "2.png", seed=77)
    assert "6 images (3 done already)" in done("photos", *SEARCH, "out")
    after = files(folder / "out")
    assert {name for name in before if before[name] != after[name]} == {"2.jpg", "manifest.jsonl"}
    assert len(old(folder / "out")) == 3
    # Other settings.
    assert "6 images: " in done("photos", *SEARCH, "out", "--keep", "top2")
    assert {r["run"] for r in records(folder / "out")[0].values()} == set(
        records(folder / "out")[1]
    )


def test_whatever_decides_the_files_is_among_the_settings(folder):
    for path in (folder / "photos").glob("[2-4].png"):
        path.unlink()
    for words in (
        ("--seed", 1),
        ("--effort", 2),
        ("--effort", "repair:1"),
        ("--mode", "probabilistic"),
    ):
        done("photos", *SEARCH, "out")
        assert "done already" not in done("photos", *SEARCH, "out", *words), words
        assert "(3 done already)" in done("photos", *SEARCH, "out", *words), words


@pytest.mark.parametrize("own_family", [False, True])
def test_digests_are_compared_only_when_asked_for(folder, own_family):
    photos, out = folder / "photos", folder / "out"
    judge = Judge((load_network("net.py:first"),), parse_fidelity("top1"))
    presets = {str(quality): Preset.from_quality(quality) for quality in (10, 90)}

    def file(**options):
        if own_family:
            family = lambda image, seed: preset_candidates(presets, seed=seed)  # noqa: E731
            encode_in_the_loop(photos, out, family, judge, settings={}, **options)
        else:
            encode_presets_in_the_loop(photos, out, presets, judge, **options)
        return (out / "0.jpg").read_bytes()

    sound = file()
    damaged = sound[::-1]
    (out / "0.jpg").write_bytes(damaged)
    assert file() == file(verify=False) == damaged
    assert file(verify=True) == sound


def age(out):
    """Make all files old."""
    for path in out.rglob("*.jpg"):
        os.utime(path, (0, 0))


def old(out):
    return {path.name for path in out.rglob("*.jpg") if path.stat().st_mtime == 0}


@pytest.mark.parametrize("torn", [b"", b'{"file": "0.jpg", "sour', b"\xe2"])
def test_killed_and_resumed_is_as_if_it_never_was(folder, torn):
    for i in range(40):
        picture(folder / "many" / f"{i:02}.png", (18, 18), seed=i)
    done("many", *SEARCH, "whole", "--jobs", 2)
    whole = files(folder / "whole")
    assert len(whole) == 41
    if torn:
        (folder / "out").mkdir()
        lines = whole["manifest.jsonl"].splitlines(keepends=True)
        (folder / "out" / "manifest.jsonl").write_bytes(b"".join(lines[:12]) + torn)
        for name in sorted(whole)[:11]:
            (folder / "out" / name).write_bytes(whole[name])
    else:
        # Past the first 32 images: the second batch is lost.
        env = {**os.environ, "DIE_AT_RUN": "6"}
        killed = warm.run("-m", "softjpeg", "encode", "many", *SEARCH, "out", env=env)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert 0 < len(files(folder / "out")) < 41
    assert "(0 done already)" not in done("many", *SEARCH, "out", "--jobs", 1)
    assert files(folder / "out") == whole


def test_broken_and_small_images_are_named(folder):
    (folder / "photos" / "a.png").write_bytes(b"no image")
    (folder / "net.py").write_text(NETWORK.replace(", size + 4", ", None"))
    picture(folder / "photos" / "small.png", (15, 40))
    for _ in range(2):
        result = call("encode", "photos", *SEARCH, "out")
        assert result.exit_code == 3
        first, second, last = result.stderr.splitlines()
        assert "photos/a.png is no image that is read" in first
        assert "photos/small.png is 15x40, smaller than the crop 16x16" in second
        assert last == "softjpeg: 2 of 8 images were not written"
        assert len(records(folder / "out")[0]) == 6


def test_an_image_that_a_network_fails_on_is_named(folder):
    (folder / "net.py").write_text(
        NETWORK.replace("return x\n", "return x / (x.mean((1, 2, 3), True) > 0.1)\n")
    )
    Image.new("RGB", (30, 30)).save(folder / "photos" / "3black.png")
    result = call("encode", "photos", *SEARCH, "out")
    assert result.exit_code == 3
    named, last = result.stderr.splitlines()
    assert "photos/3black.png: net.py:first: the network's output" in named
    assert last == "softjpeg: 1 of 7 images were not written"
    assert len(records(folder / "out")[0]) == 6


def test_profiles_are_kept_or_dropped(folder):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(folder / "photos" / "0.png") as image:
        image.save(folder / "p.png", icc_profile=profile)
    for words in (SEARCH[:-1], ("--preset", "default", "--quality", "20")):
        for option in ("--metadata", "--no-metadata"):
            done("p.png", *words, option, "--out", "out")
            with Image.open(folder / "out" / "p.jpg") as file:
                assert ("icc_profile" in file.info) == (option == "--metadata")


def test_readers_beside_default_jpeg(folder):
    output = done("photos", *SEARCH, "out", "--reader", "net.py:second")
    sources = sorted((folder / "photos").rglob("*.png"))
    written = [
        folder / "out" / p.relative_to(folder / "photos").with_suffix(".jpg") for p in sources
    ]
    total = sum(path.stat().st_size for path in written)
    for quality in range(1, 101):
        Preset.from_quality(quality).save(folder / "p.json")
        done("photos", "--preset", "p.json", "--out", "default")
        default = [folder / "default" / path.relative_to(folder / "out") for path in written]
        if (bytes_of := sum(path.stat().st_size for path in default)) >= total:
            break
    assert f"at quality {quality} ({bytes_of / total:.0%} of their bytes)" in output
    for name in ("net.py:first", "net.py:second"):
        own = [answer(name, path).argmax() for path in sources]
        shares = [
            f"{100 * sum(answer(name, p).argmax() == o for p, o in zip(those, own)) / 6:.1f}"  # noqa: B905
            for those in (written, default)
        ]
        (row,) = [line for line in output.splitlines() if name in line and "│" in line]
        assert [cell.strip() for cell in row.split("│")][2:4] == shares


def test_default_jpeg_of_equal_bytes(folder):
    from softjpeg.corpus.engine import pool_of
    from softjpeg.corpus.file_answers import equal_bytes_quality

    photo, file = folder / "photos" / "0.png", folder / "x.jpg"
    totals = [0]
    for quality in range(1, 101):
        done(photo, "--preset", "default", "--quality", quality, "--out", "default")
        totals.append((folder / "default" / "0.jpg").stat().st_size)
    with pool_of(1) as pool:
        for size in [1, *totals[1:100:9], totals[100] - 1, 2 * totals[100]]:
            file.write_bytes(bytes(size))
            quality, share = equal_bytes_quality([(photo, file)], pool)
            assert share == totals[quality] / size
            if size <= totals[100]:
                assert totals[quality - 1] < size <= totals[quality] or quality == 1
            else:
                assert quality == 100


def test_archive_refusals(folder):
    assert refusal("photos", *SEARCH, "out", "--keep", "best").startswith("keep must be top1, ")
    for effort in ("-1", "repair:0", "repair:x", "fix"):
        message = refusal("photos", *SEARCH, "out", "--effort", effort)
        assert message.startswith("--effort must be a number of at least 0, all, repair or ")
    words = ("--effort", "repair", "--progressive")
    assert "leave --progressive out" in refusal("photos", *SEARCH, "out", *words)
    assert refusal("photos", *SEARCH, "out", "--subsampling", "4:1:1").startswith("subsampling ")
    assert refusal("photos", *SEARCH, "out", "--header", "tiny").startswith("header must be ")
    assert "jobs must be at least 1, got 0" in refusal("photos", *SEARCH, "out", "--jobs", 0)
    assert not (folder / "out").exists()
    done("photos", *SEARCH, "out")
    with (folder / "out" / "manifest.jsonl").open("ab") as file:
        file.write(b'{"file": "x.jpg"}\n')
    assert "out/manifest.jsonl, line 7: this is no manifest's" in refusal("photos", *SEARCH, "out")


# One preset for all


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_plain_manifest_and_jobs(folder, mode):
    words = ("photos", "--preset", "default", "--quality", 30, "--mode", mode, "--seed", 3)
    done(*words, "--out", "one", "--jobs", 1)
    done(*words, "--out", "two", "--jobs", 3, "--manifest")
    made = files(folder / "two")
    found, _ = records(folder / "two")
    del made["manifest.jsonl"], made["sub/manifest.jsonl"]
    assert files(folder / "one") == made
    assert set(found) == {name for name in made if name.endswith(".jpg")}
    age(folder / "two")
    (folder / "two" / "3.jpg").unlink()
    assert "(5 done already)" in done(*words, "--out", "two", "--manifest")
    assert old(folder / "two") == {f"{i}.jpg" for i in (0, 1, 2, 4)} | {"gray.jpg"}
    assert "already" not in done(*words[:-1], 4, "--out", "two", "--manifest")


def test_plain_options_and_gray(folder):
    def sizes(*words):
        done("photos", "--preset", "default", "--quality", 20, "--out", "out", *words)
        modes = {}
        for path in (folder / "out").rglob("*.jpg"):
            with Image.open(path) as image:
                modes[path.name] = image.mode
        return modes, sum(map(len, files(folder / "out").values()))

    modes, plain = sizes()
    assert modes == {f"{i}.jpg": "RGB" for i in range(5)} | {"gray.jpg": "L"}
    assert sizes("--header", "compact")[1] < plain
    assert sizes("--subsampling", "4:4:4")[1] > plain
    modes, gray = sizes("--subsampling", "gray")
    assert set(modes.values()) == {"L"}
    assert gray < plain


@pytest.mark.parametrize(("mode", "levels"), [("L", 1), ("I;16", 256), ("LA", 1), ("1", 1)])
def test_gray_files_stay_gray_to_the_bit(folder, mode, levels):
    gray = np.random.default_rng(0).integers(0, 2, (16, 16)) * 255
    kind = np.uint16 if levels > 1 else np.uint8
    image = Image.fromarray((gray * levels).astype(kind))
    image = image if mode == "I;16" else image.convert(mode)
    image.save(folder / "g.png")
    done("g.png", "--preset", "default", "--quality", 100, "--out", "out")
    with Image.open(folder / "out" / "g.jpg") as file:
        assert file.mode == "L"
        assert np.abs(np.asarray(file).astype(int) - gray).max() <= 2


def test_plain_refusals(folder):
    words = ("photos", "--out", "out")
    assert "--preset takes one value" in refusal(*words)
    assert "--preset takes one value" in refusal(*words, "--preset", "a", "--preset", "b")
    assert "choose a --quality" in refusal(*words, "--preset", "default")
    default = (*words, "--preset", "default", "--quality")
    assert "--quality takes one value" in refusal(*default, "10,20")
    assert "quality must be" in refusal(*default, 0)
    assert "--subsampling takes one value" in refusal(*default, 9, "--subsampling", "gray,4:2:0")
    assert refusal(*default, 9, "--subsampling", "4:1:1").startswith("subsampling ")
    assert refusal(*default, 9, "--header", "tiny").startswith("header must be ")
    assert not (folder / "out").exists()
