"""Folders of images: listed while others are encoded, and what is done told by size and time."""

import json
import os

import pytest
from PIL import Image

from helpers.commands import call
from helpers.images import smooth_image
from softjpeg import Preset, encode
from softjpeg.corpus import writing
from softjpeg.corpus.engine import Entry, threads
from softjpeg.corpus.folders import encode_files
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder

DEFAULT = ("--preset", "default", "--quality", 20)
PRESET = Preset.from_quality(20)


def picture(path, seed=0, size=(24, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    smooth_image(size[1], size[0], seed).save(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """photos/a/0.png ... photos/c/2.png, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for i in range(9):
        picture(tmp_path / "photos" / "abc"[i // 3] / f"{i % 3}.png", i)
    return tmp_path


def run(*words, source="photos", code=0, out="out"):
    result = call("encode", source, *DEFAULT, "--manifest", "--out", out, *words)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def rows(path):
    return [row for row in map(json.loads, path.read_text().splitlines()) if "key" in row]


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_a_folder_is_encoded_before_the_next_is_listed(folder, monkeypatch):
    happened = []
    scandir, write = os.scandir, writing.write_atomically

    def listed(path):
        if "photos" in str(path):
            happened.append(f"list {os.path.basename(path)}")
        return scandir(path)

    def written(path, data):
        happened.append(f"write {path.parent.name}")
        write(path, data)

    monkeypatch.setattr(os, "scandir", listed)
    monkeypatch.setattr(writing, "write_atomically", written)
    encode_files(folder / "photos", PRESET, folder / "out")
    kinds = list(dict.fromkeys(happened))
    assert kinds == ["list photos", *(f"{kind} {x}" for x in "cba" for kind in ("list", "write"))]


def test_a_row_says_what_a_shard_s_row_says(folder):
    import tarfile

    pytest.importorskip("pebble")
    (folder / "photos" / "a" / "1.png").write_bytes(b"no image")
    run(code=3)
    (folder / "shards").mkdir()
    with tarfile.open("shards/a.tar", "w") as archive:
        for i in range(3):
            archive.add(folder / "photos" / "a" / f"{i}.png", f"{i}.png")
    result = call("encode", "shards", *DEFAULT, "--out", "tars")
    assert result.exit_code == 3
    _, *theirs = map(json.loads, (folder / "tars/a.tar.manifest.jsonl").read_text().splitlines())
    ours = rows(folder / "out/a/manifest.jsonl")
    assert [row["key"] for row in ours] == [f"a/{i}.png" for i in range(3)]
    for our, their in zip(ours, theirs, strict=True):
        own = {"run", "file", "source_mtime_ns"}
        assert our.keys() - own <= their.keys()
        same = their.keys() - {"key", "seed", "detail"}
        assert all(our.get(name, their[name]) == their[name] for name in same)
        path = folder / "photos" / our["key"]
        assert our["source_mtime_ns"] == path.stat().st_mtime_ns
        assert our["source_bytes"] == path.stat().st_size


def test_done_is_told_by_size_and_time_and_with_verify_by_digests(folder):
    run()
    before = contents(folder / "out")
    assert "(9 done already)" in run().stdout
    # Another image of as many bytes and of the same time: only its digest tells.
    path, file = folder / "photos" / "b" / "1.ppm", folder / "out" / "b" / "1.jpg"
    for seed in (1, 2):
        picture(path, seed)
        os.utime(path, ns=(0, 10**18))
        (folder / "photos" / "b" / "1.png").unlink(missing_ok=True)
        words = "(8 done already)" if seed == 1 else "(9 done already)"
        assert words in run().stdout
    assert "(8 done already)" in run("--verify").stdout
    assert file.read_bytes() == encode(Image.open(path), PRESET)
    # A file of ours that is damaged, of the same size.
    file.write_bytes(file.read_bytes()[::-1])
    assert "(9 done already)" in run().stdout
    assert "(8 done already)" in run("--verify").stdout
    assert file.read_bytes() == encode(Image.open(path), PRESET)
    os.utime(path, ns=(0, 10**17))
    assert "(8 done already)" in run().stdout
    after = contents(folder / "out")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"b/1.jpg", "b/manifest.jsonl"}


def test_failures_are_remembered_and_tried_again_on_demand(folder):
    good = folder / "photos" / "a" / "0.png"
    data, time = good.read_bytes(), good.stat().st_mtime_ns
    good.write_bytes(bytes(len(data)))
    os.utime(good, ns=(time, time))
    (folder / "photos" / "b" / "gone.png").symlink_to("nowhere.png")
    first = run(code=3)
    good.write_bytes(data)
    os.utime(good, ns=(time, time))
    assert run(code=3).stderr == first.stderr
    assert "2 of 10 images were not written" in first.stderr
    picture(folder / "photos" / "b" / "nowhere.png", 5)
    # What may pass is tried again anyway.
    last = run(code=3)
    assert "1 of 11 images were not written" in last.stderr
    assert "(8 done already)" in last.stdout
    run("--retry", "limit", code=3)
    assert "(10 done already)" in run("--retry", "decode").stdout
    assert (folder / "out/a/0.jpg").read_bytes() == encode(Image.open(good), PRESET)


def test_two_sources_keep_their_lines_in_one_folder(folder):
    picture(folder / "more" / "a" / "x.png", 50)
    run()
    run(source="more")
    files = [row["file"] for row in rows(folder / "out/a/manifest.jsonl")]
    assert files == ["a/0.jpg", "a/1.jpg", "a/2.jpg", "a/x.jpg"]
    assert "(9 done already)" in run().stdout
    # A file that another image writes is no longer the first one's.
    (folder / "more" / "a" / "x.png").rename(folder / "more" / "a" / "1.bmp")
    run(source="more", out="out")
    keys = [row["key"] for row in rows(folder / "out/a/manifest.jsonl")]
    assert keys == ["a/0.png", "a/1.bmp", "a/2.png", "a/x.png"]


def test_seconds_end_an_image_of_a_folder(folder):
    pytest.importorskip("pebble")
    Image.effect_noise((5000, 5000), 90).save("photos/a/slow.bmp")
    result = run("--seconds", 0.2, code=3, source="photos/a")
    failed = [row for row in rows(folder / "out/manifest.jsonl") if row["status"] == "failed"]
    assert "slow.bmp" in [row["key"] for row in failed]
    assert {row["error"] for row in failed} == {"limit-seconds"}
    assert "slow.bmp took over 0.2 seconds" in result.stderr


def test_threads_and_processes_make_the_same_rows(folder):
    pytest.importorskip("pebble")
    encoder = Encoder(PRESET, "probabilistic", seed=3)
    paths = sorted((folder / "photos").rglob("*.png"))
    paths[4].write_bytes(b"no image")
    entries = [Entry(p.name + p.parent.name, b"", i != 2, i, p) for i, p in enumerate(paths)]
    with processes(encoder, 1) as engine:
        expected = list(engine(entries))
    assert [entry.rest for entry, _ in expected] == list(range(9))
    assert [i for i, (_, row) in enumerate(expected) if row is None or row.data is None] == [2, 4]
    for jobs, queued in ((1, 1), (3, 1), (3, 1 << 28)):
        with threads(encoder, jobs, queued) as engine:
            assert list(engine(entries)) == expected
