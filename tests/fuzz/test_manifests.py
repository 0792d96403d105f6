"""Damaged manifests, logs and indices: refused in one sentence, or the work ends as without."""

import os

import numpy as np
import pytest

pytest.importorskip("pebble", reason="softjpeg[corpus] is not installed")
pytest.importorskip("pyarrow", reason="softjpeg[corpus] is not installed")

from fuzz.hostile_json import changed, changed_lines
from fuzz.test_fuzz import accepted
from helpers.images import png
from helpers.sources import write_tar
from softjpeg import Preset
from softjpeg.corpus import shards
from softjpeg.corpus.engine import threads
from softjpeg.corpus.folders import encode_files
from softjpeg.corpus.manifest import NAME, PART, Manifest
from softjpeg.corpus.manifest_table import write_table
from softjpeg.corpus.samples import Encoder
from softjpeg.training.data.shards import open_shards
from softjpeg.training.log import Log, read_log

COUNT = int(os.environ.get("SOFTJPEG_FUZZ", "100"))
SEED = int(os.environ.get("SOFTJPEG_FUZZ_SEED", "0"))
PRESET = Preset.from_quality(20)


def pictures(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix != ".jsonl"}


@pytest.mark.parametrize("name", [NAME, PART])
def test_folders(tmp_path, name):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.png").write_bytes(png(i))
    encode_files(photos, Preset.from_quality(70), out, manifest=True)
    (photos / "3.png").write_bytes(b"no image")
    encode_files(photos, PRESET, out, manifest=True)
    # Also a line of an earlier run, with settings of its own.
    os.utime(photos / "1.png", ns=(0, 10**18))
    whole, expected = (out / NAME).read_bytes(), pictures(out)
    rng = np.random.default_rng(SEED)
    went_on = 0

    def encoded(data):
        (out / name).write_bytes(data)
        (out / f"{len(data) % 3}.jpg").unlink(missing_ok=True)
        summary = encode_files(photos, PRESET, out, manifest=True)
        return summary.written + summary.done + len(summary.failures)

    for _ in range(COUNT):
        (out / NAME).write_bytes(whole)
        data = changed_lines(whole, rng)
        if accepted(encoded, data) is None:
            assert name == NAME
            (out / PART).unlink(missing_ok=True)
            continue
        went_on += 1
        assert pictures(out) == expected
        lines = [line.body["key"] for line in Manifest(out, {}).lines()]
        assert {f"{i}.png" for i in range(4)} <= set(lines)
        # Whatever it says of others, nothing is left to do.
        assert encode_files(photos, PRESET, out, manifest=True).written == 0
        accepted(lambda _: write_table(out, tmp_path / "rows.parquet"), data)
    assert went_on > COUNT // 10
    (out / NAME).write_bytes(whole)
    assert write_table(out, tmp_path / "rows.parquet") == 4


def test_tables(tmp_path):
    rng = np.random.default_rng(SEED)
    source = tmp_path / "photos"
    source.mkdir()
    (source / "a.png").write_bytes(png(0))
    (source / "b.png").write_bytes(b"no image")
    encode_files(source, PRESET, tmp_path / "out", manifest=True)
    whole = (tmp_path / "out" / NAME).read_bytes()
    read = 0

    def table(data):
        (tmp_path / "out" / NAME).write_bytes(data)
        return 1 + write_table(tmp_path / "out", tmp_path / "rows.parquet")

    for _ in range(COUNT):
        read += accepted(table, changed_lines(whole, rng)) is not None
    assert COUNT // 50 < read < COUNT


def test_shards(tmp_path, monkeypatch):
    monkeypatch.setitem(shards.ENGINES, "local", threads)
    source, out = tmp_path / "shards", tmp_path / "out"
    source.mkdir()
    images = [b"no image" if i == 1 else png(i) for i in range(4)]
    write_tar(source / "a.tar", ((f"{i}.png", data) for i, data in enumerate(images)))
    encoder = Encoder(PRESET)
    shards.encode_shards(source, encoder, out)
    expected = {path.name: path.read_bytes() for path in out.iterdir()}
    rng = np.random.default_rng(SEED)
    names = ["a.tar.manifest.jsonl", "a.tar.manifest.jsonl", "index.jsonl"]
    retried = ""

    def encoded(data):
        return shards.encode_shards(source, encoder, out, retry=retried)

    went_on = 0
    for n in range(COUNT):
        for name, data in expected.items():
            (out / name).write_bytes(data)
        data = changed_lines(expected[names[n % 3]], rng)
        (out / names[n % 3]).write_bytes(data)
        retried = "decode" if n % 2 else ""
        summary = accepted(encoded, data)
        assert summary is not None
        assert summary.failures == []
        assert (out / "a.tar").read_bytes() == expected["a.tar"]
        went_on += summary.done == 0
        again = shards.encode_shards(source, encoder, out)
        assert again.done == again.shards == 1
    assert COUNT // 10 < went_on < COUNT


def test_logs(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log(path)
    for step in range(5):
        log.write("step", step, loss=1.5)
    whole = path.read_bytes()
    rng = np.random.default_rng(SEED)
    read = 0
    for _ in range(COUNT):
        path.write_bytes(changed_lines(whole, rng))
        records = accepted(read_log, path)
        if records is None:
            assert accepted(lambda p: Log(p, 3), path) is None
            continue
        Log(path, 3)
        assert read_log(path) == [record for record in records if record["step"] <= 3]
        read += 1
    assert COUNT // 50 < read < COUNT


def test_indices_of_training_shards(tmp_path):
    members = {f"{i}.png": png(i) for i in range(4)}
    members |= {f"{i}.cls": b"%d" % (i % 2) for i in range(4)}
    write_tar(tmp_path / "train-0.tar", members.items())
    open_shards(tmp_path, train=True)
    path = tmp_path / ".train-index.json"
    whole = path.read_bytes()
    rng = np.random.default_rng(SEED)

    def opened(data):
        path.write_bytes(data)
        return open_shards(tmp_path, train=True)

    for _ in range(COUNT):
        split = accepted(opened, changed(whole.decode(), rng).encode("latin-1", "replace"))
        if split is not None:
            for i in range(len(split)):
                accepted(split.read, i)
                assert 0 <= split.label(i) < len(split.classes)
