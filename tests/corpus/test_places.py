"""Shards at URLs, by fsspec's file system in memory, beside the same in folders."""

import json

import pytest

from helpers.commands import call, refusal
from helpers.images import png
from helpers.sources import write_tar

pytest.importorskip("pebble")
fsspec = pytest.importorskip("fsspec")

WORDS = ("--preset", "default", "--quality", 20, "--jobs", 1)
URL = "memory://bucket/in"


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """The same two shards in a folder and in memory; one image is none."""
    monkeypatch.chdir(tmp_path)
    there = fsspec.filesystem("memory")
    for shard in ("0.tar", "sub/1.tar.gz"):
        path = tmp_path / "in" / shard
        path.parent.mkdir(parents=True, exist_ok=True)
        images = [b"no image" if (shard, i) == ("0.tar", 2) else png(i) for i in range(4)]
        files = ((f"{i}.png", data) for i, data in enumerate(images))
        write_tar(path, files, "gz" if shard.endswith("gz") else "")
        there.pipe(f"/bucket/in/{shard}", path.read_bytes())
    there.pipe("/bucket/in/.hidden.tar", b"")
    there.pipe("/bucket/in/notes.txt", b"")
    yield there
    there.store.clear()
    there.pseudo_dirs[:] = [""]


def encoded(source, out, *words, code=3):
    result = call("encode", source, *WORDS, "--out", out, *words)
    assert result.exit_code == code, (result.output, result.stderr, result.exception)
    return result


def at(there, root):
    return {path[len(root) + 1 :]: there.cat(path) for path in there.find(root)}


def test_the_same_shards_as_in_folders(memory, tmp_path):
    encoded("in", "out")
    expected = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
        for p in (tmp_path / "out").rglob("*.*")
    }
    encoded(URL, "memory://bucket/out")
    found = at(memory, "/bucket/out")
    assert found.keys() == expected.keys()
    for name in found:
        if not name.endswith(".jsonl"):
            assert found[name] == expected[name]
    for name in ("0.tar.manifest.jsonl", "sub/1.tar.gz.manifest.jsonl"):
        (_, *ours), (_, *theirs) = found[name].splitlines(), expected[name].splitlines()
        assert ours == theirs
    # From there to a folder, and from a folder to there; one shard alone.
    encoded(f"{URL}/sub/1.tar.gz", "single", code=0)
    assert (tmp_path / "single/1.tar.gz").read_bytes() == expected["sub/1.tar.gz"]
    encoded("in", "memory://bucket/other")
    assert memory.cat("/bucket/other/0.tar") == expected["0.tar"]


def test_of_what_is_done_the_first_lines_alone_are_read(memory, monkeypatch):
    out, read = "memory://bucket/out", []
    encoded(URL, out)
    # A long manifest, as of ten thousand images.
    name = "/bucket/out/0.tar.manifest.jsonl"
    memory.pipe(name, memory.cat(name) + b'{"key": "x"}\n' * 20_000)
    kind, cat = type(memory), type(memory).cat_file

    def counting(self, *words, **options):
        read.append(len(data := cat(self, *words, **options)))
        return data

    monkeypatch.setattr(kind, "cat_file", counting)
    monkeypatch.setattr(kind, "get_file", None)
    assert "(2 done already)" in encoded(URL, out).stdout
    assert max(read) <= 1 << 16
    assert len(read) == 2
    memory.rm(name)
    monkeypatch.undo()
    assert "(1 done already)" in encoded(URL, out).stdout


def test_what_is_done_there_is_left_alone(memory):
    out = "memory://bucket/in/out"
    encoded(URL, out)
    before = at(memory, "/bucket/in/out")
    assert "(2 done already)" in encoded(URL, out).stdout
    assert "(2 done already)" in encoded(URL, out, "--verify").stdout
    data = before["0.tar"]
    memory.pipe("/bucket/in/out/0.tar", data[:-1] + b"x")
    assert "(2 done already)" in encoded(URL, out).stdout
    assert "(1 done already)" in encoded(URL, out, "--verify").stdout
    assert "(1 done already)" in encoded(URL, out, "--retry", "decode").stdout
    assert at(memory, "/bucket/in/out") == before
    memory.pipe("/bucket/in/sub/1.tar.gz", memory.cat("/bucket/in/sub/1.tar.gz"))
    assert "(1 done already)" in encoded(URL, out).stdout


def test_what_fails_there_is_said_of_it(memory, tmp_path):
    memory.pipe("/bucket/in/0.tar", b"no tar")
    result = encoded(URL, "memory://bucket/out")
    assert f"{URL}/0.tar cannot be read as a tar file: " in result.stderr
    assert set(at(memory, "/bucket/out")) == {
        *("index.jsonl", "sub/1.tar.gz", "sub/1.tar.gz.manifest.jsonl")
    }
    words = ("encode", "memory://nowhere", *WORDS, "--out")
    assert refusal(*words, "out") == "memory://nowhere holds no tar or Parquet files"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(png(0))
    assert refusal("encode", "photos", *WORDS, "--out", URL) == (
        f"--out {URL}: only shards are written to a URL"
    )
    assert "would be written over itself" in refusal("encode", URL, *WORDS, "--out", URL)
    assert "Protocol not known: nothing" in refusal("encode", "nothing://x", *WORDS, "--out", "o")


def test_a_dry_run_reads_shards_there(memory):
    found = json.loads(
        call("encode", URL, *WORDS, "--out", "out", "--dry-run", 50, "--json").stdout
    )
    assert (found["images"], found["errors"]) == (8, {"decode": 1})
