"""Shards in, shards out: read by the libraries whose formats they are."""

import io
import json
import os
import tarfile
from contextlib import contextmanager

import pytest
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import png
from helpers.sources import write_tar
from softjpeg import Preset, encode
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.corpus import shards as module
from softjpeg.corpus.engine import EngineLostError, Entry
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder, encode_batch

DEFAULT = ("--preset", "default", "--quality", 20)
COUNT = 7


@pytest.fixture
def tars(tmp_path, monkeypatch):
    """shards/0.tar and shards/sub/1.tar.gz, by webdataset; image 3 of each is none."""
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards" / "sub").mkdir(parents=True)
    for shard, name in enumerate(("0.tar", "sub/1.tar.gz")):
        with webdataset.TarWriter(str(tmp_path / "shards" / name)) as writer:
            for i in range(COUNT):
                data = b"no image" if i == 3 else png(i + shard)
                sample = {"__key__": f"cats/{i}", "png": data, "cls": i, "mask.png": png(90 + i)}
                writer.write(sample)
    return tmp_path


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def shards(*words, out="out", code=3):
    result = call("encode", "shards", *DEFAULT, "--out", out, *words)
    assert result.exit_code == code, (result.output, result.exception)
    return result


# webdataset leaves the tar file that it read open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset_reads_what_comes_out_and_processes_do_not_matter(tars):
    import webdataset

    result = shards("--jobs", 1)
    assert result.stderr == "softjpeg: 2 images were left out: 2 decode\n"
    assert result.stdout.startswith("12 images in 2 shards: ")
    for shard, name in enumerate(("0.tar", "sub/1.tar.gz")):
        found = list(webdataset.WebDataset(str(tars / "out" / name), shardshuffle=False))
        assert [s["__key__"] for s in found] == [f"cats/{i}" for i in range(COUNT) if i != 3]
        for sample in found:
            i = int(sample["cls"])
            image = Image.open(io.BytesIO(png(i + shard)))
            assert sample["jpg"] == encode(image, Preset.from_quality(20))
            assert sample["mask.png"] == png(90 + i)
            assert "png" not in sample
    shards("--jobs", 2, out="two")
    assert contents(tars / "two") == contents(tars / "out")
    head, *lines = map(json.loads, (tars / "out/0.tar.manifest.jsonl").read_text().splitlines())
    assert (head["images"], head["failed"], head["errors"]) == (6, 1, {"decode": 1})
    assert [line["key"] for line in lines] == [f"0.tar/cats/{i}.png" for i in range(COUNT)]
    index = [
        json.loads(line)["shard"] for line in (tars / "out/index.jsonl").read_text().splitlines()
    ]
    assert index == ["0.tar", "sub/1.tar.gz"]


def test_every_image_of_a_shard_under_so_many_bytes(tars):
    most = ("encode", "shards", "--preset", "default", "--max-bytes", 700, "--out")
    assert call(*most, "out", "--jobs", 1).exit_code == 3
    assert call(*most, "two", "--jobs", 2).exit_code == 3
    assert contents(tars / "two") == contents(tars / "out")
    _, *rows = map(json.loads, (tars / "out/0.tar.manifest.jsonl").read_text().splitlines())
    limit = ByteLimit(700, Preset.from_quality(50))
    for i, row in enumerate(rows):
        if i != 3:
            image = Image.open(io.BytesIO(png(i)))
            data, quality = limit.encoded(image)
            assert (row["quality"], row["bytes"]) == (quality, len(data))
            assert len(data) <= 700 < len(encode(image, limit.at(quality + 1)))


def test_only_what_is_not_done_is_encoded(tars):
    shards()
    before = contents(tars / "out")
    assert "(2 done already)" in shards().stdout
    # As after a kill between a shard and its manifest, and after one before the shard.
    (tars / "out/0.tar.manifest.jsonl").unlink()
    assert "(1 done already)" in shards().stdout
    assert "(2 done already)" in shards("--retry", "limit").stdout
    assert "done already" not in shards("--retry", "decode").stdout
    assert contents(tars / "out") == before
    # Of the same size: only its digest tells.
    data = before["0.tar"]
    (tars / "out/0.tar").write_bytes(data[:-1] + b"x")
    assert "(2 done already)" in shards().stdout
    assert "(1 done already)" in shards("--verify").stdout
    assert contents(tars / "out") == before
    os.utime(tars / "shards/0.tar", ns=(0, 10**18))
    assert "(1 done already)" in shards().stdout


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_retry_encodes_what_failed_and_nothing_else(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    bad = {3: b"P5 70000 1 255 ", 6: b"no image"}
    images = {f"{i}.png": bad.get(i) or png(i) for i in range(9)}
    if kind == "tar":
        write_tar("shards/a.tar", sorted(images.items()))
    else:
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        rows = [{"bytes": data, "path": name} for name, data in images.items()]
        pq.write_table(pa.table({"image": [*rows, None]}), "shards/a.parquet", row_group_size=4)
    assert "2 images were left out: 1 decode, 1 limit" in shards().stderr
    before = contents(tmp_path / "out")
    tried = []

    @contextmanager
    def watched(encoder, jobs):
        def noted(entry):
            tried.extend([entry.key.rpartition("/")[2]] * entry.image)
            return entry

        with processes(encoder, jobs) as engine:
            yield lambda entries: engine(map(noted, entries))

    monkeypatch.setitem(module.ENGINES, "local", watched)
    suffix = ".png" if kind == "tar" else ""
    for words, expected in {
        (): [],
        ("--retry", "limit"): ["3" + suffix],
        ("--retry", "decode"): ["6" + suffix],
    }.items():
        tried.clear()
        assert ("done already" in shards(*words).stdout) == (not expected)
        assert tried == expected
        assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("inside", [True, False])
def test_a_damaged_shard_costs_no_other(tars, inside):
    """Cut off inside a member or, which Python's tarfile does not mind, between two."""
    path = tars / "shards/0.tar"
    with tarfile.open(path) as archive:
        offset = archive.getmembers()[5].offset
    path.write_bytes(path.read_bytes()[: offset + 600 * inside])
    result = shards()
    assert "shards/0.tar cannot be read as a tar file: " in result.stderr
    assert result.stderr.endswith("softjpeg: 1 shards were not written\n")
    assert set(contents(tars / "out")) == {
        *("index.jsonl", "sub/1.tar.gz", "sub/1.tar.gz.manifest.jsonl")
    }


def test_a_lost_engine_ends_the_run_between_shards(tars, monkeypatch):
    shards(out="whole")
    seen = []

    @contextmanager
    def lost(encoder, jobs):
        def run(entries):
            for entry, row in engine(entries):
                seen.append(entry.key)
                if len(seen) == 4 * COUNT:  # In the second shard.
                    raise EngineLostError("what encodes is gone")
                yield entry, row

        with processes(encoder, jobs) as engine:
            yield run

    with monkeypatch.context() as patch:
        patch.setitem(module.ENGINES, "local", lost)
        assert refusal("encode", "shards", *DEFAULT, "--out", "out") == "what encodes is gone"
    assert contents(tars / "out").keys() == {"0.tar", "0.tar.manifest.jsonl"}
    shards()
    assert contents(tars / "out") == contents(tars / "whole")


def test_refusals(tars):
    words = ("encode", "shards", *DEFAULT, "--out")
    assert "--retry must be one of all, decode" in refusal(*words, "out", "--retry", "some")
    message = refusal(*words, "out", "--engine", "spark")
    assert message == "--engine must be local or ray, got spark"
    assert "would be written over itself" in refusal(
        "encode", "shards/0.tar", *DEFAULT, "--out", "shards"
    )


def test_options_of_the_one_kind_are_refused_for_the_other(tars):
    (tars / "photos").mkdir()
    (tars / "photos" / "a.png").write_bytes(png(0))
    for words in (["--verify"], ["--retry", "all"]):
        message = refusal("encode", "photos", *DEFAULT, "--out", "out", *words)
        assert message == "--retry and --verify go by a manifest: say --manifest, too"
    message = refusal("encode", "photos", *DEFAULT, "--out", "out", "--engine", "ray")
    assert message == "--engine is of shards: leave ray out"
    for words in (["--manifest"], ["--name-collision", "suffix"]):
        message = refusal("encode", "shards", *DEFAULT, "--out", "out", *words)
        assert "shards holds shards, which have manifests of their own" in message
    assert not (tars / "out").exists()


def test_two_images_of_one_name_are_both_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    write_tar("shards/a.tar", [(n, png(1)) for n in ("0.png", "0.bmp", "1.png", "readme")])
    assert "2 images were left out: 2 other" in shards().stderr
    with tarfile.open("out/a.tar") as archive:
        assert archive.getnames() == ["1.jpg", "readme"]


def test_datasets_reads_the_parquet_that_comes_out(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shards").mkdir()
    images = [{"bytes": png(i), "path": f"{i}.png"} for i in range(COUNT)]
    images[2], images[4]["bytes"] = None, b"no image"
    features = datasets.Features(
        {"photo": datasets.Image(), "label": datasets.ClassLabel(names=list("abcdefg"))}
    )
    table = datasets.Dataset.from_dict(
        {"photo": images, "label": list(range(COUNT))}, features=features
    )
    table.to_parquet("shards/train.parquet", batch_size=3)
    assert "1 images were left out: 1 decode" in shards().stderr
    found = datasets.Dataset.from_parquet("out/train.parquet", cache_dir=str(tmp_path / "cache"))
    assert found.features == features
    raw = found.cast_column("photo", datasets.Image(decode=False))
    assert raw["label"][:] == [0, 1, 2, 3, 5, 6]
    for row in raw:
        i = row["label"]
        expected = encode(Image.open(io.BytesIO(png(i))), Preset.from_quality(20))
        assert row["photo"] == (None if i == 2 else {"bytes": expected, "path": f"{i}.jpg"})


def test_a_stuck_image_is_ended_and_delays_no_other(monkeypatch):
    from softjpeg.corpus.limits import Limits

    slow = io.BytesIO()
    Image.effect_noise((6000, 6000), 90).save(slow, "BMP")
    data = [png(0), slow.getvalue(), png(2)]
    encoder = Encoder(Preset.from_quality(50), limits=Limits(seconds=0.05))
    entries = [Entry(str(i), d, True) for i, d in enumerate(data)]
    with processes(encoder, 2) as engine:
        # The first may take longer: its process begins with it.
        rows = [row for _, row in engine(entries)]
    assert rows[1].facts["error"] == "limit-seconds"
    assert "1 took over 0.05 seconds" in rows[1].facts["detail"]


def test_a_batch_never_raises():
    encoder = Encoder(Preset.from_quality(20))
    rows = encode_batch([("a", png(1)), ("b", b""), ("c", b"P5 70000 1 255 ")], encoder)
    assert rows[0].data == encode(Image.open(io.BytesIO(png(1))), Preset.from_quality(20))
    assert [row.facts.get("error") for row in rows] == [None, "decode", "limit-side"]
