"""Runs that are watched: lines of JSON, numbers for Prometheus, and an end when too much fails."""

import io
import json
import tarfile

import pytest
from PIL import Image

from helpers.commands import call, refusal
from helpers.images import png, smooth_image
from helpers.sources import write_tar
from softjpeg.corpus.watch import MostFailures, Watching, watched

DEFAULT = ("--preset", "default", "--quality", 20)


@pytest.fixture(params=["folder", "shards"])
def source(request, tmp_path, monkeypatch):
    """12 images of which the fourth and the eighth are none, as files or in two tar files."""
    monkeypatch.chdir(tmp_path)
    files = {f"{i:02}.png": b"no image" if i % 4 == 3 and i < 8 else png(i) for i in range(12)}
    (tmp_path / "images").mkdir()
    if request.param == "folder":
        for name, data in files.items():
            (tmp_path / "images" / name).write_bytes(data)
        return tmp_path
    pytest.importorskip("pebble")
    for shard in range(2):
        write_tar(f"images/{shard}.tar", sorted(files.items())[6 * shard : 6 * shard + 6])
    return tmp_path


def test_lines_of_json_and_numbers_for_prometheus(source):
    parser = pytest.importorskip("prometheus_client.parser")
    words = ("encode", "images", *DEFAULT, "--out", "out", "--jobs", 1)
    result = call(*words, "--json", "--metrics", "encode.prom")
    assert result.exit_code == 3
    *rows, last = map(json.loads, result.stdout.splitlines())
    assert [row["status"] == "failed" for row in rows] == [i in (3, 7) for i in range(12)]
    assert last["total"]["errors"] == {"decode": 2}
    assert (last["total"]["images"], last["total"]["failed"]) == (10, 2)
    written = [row for row in rows if row["status"] == "written"]
    for way, name in (("in", "source_bytes"), ("out", "bytes")):
        assert last["total"][f"bytes_{way}"] == sum(row[name] for row in written)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families((source / "encode.prom").read_text())
        for sample in family.samples
    }
    assert found == {
        ("softjpeg_images", "written"): 10,
        ("softjpeg_images", "decode"): 2,
        ("softjpeg_bytes", "in"): last["total"]["bytes_in"],
        ("softjpeg_bytes", "out"): last["total"]["bytes_out"],
    }
    message = refusal(*words, "--metrics", "nowhere/encode.prom")
    assert message == "--metrics nowhere/encode.prom: the folder nowhere does not exist"


def test_a_run_ends_when_too_many_fail_and_goes_on(source):
    words = ("encode", "images", *DEFAULT, "--out", "out", "--jobs", 1)
    words += ("--manifest",) if (source / "images" / "00.png").exists() else ()
    assert "2 of 8 images failed, which is more than --max-failures" in refusal(
        *words, "--max-failures", 1
    )
    assert call(*words, "--max-failures", 2).exit_code == 3
    # A share counts from the hundredth image on.
    assert call(*words, "--max-failures", "0%", "--retry", "decode").exit_code == 3
    assert refusal(*words, "--max-failures", "few") == (
        "--max-failures must be a number, or one with %, got few"
    )


def test_a_share_of_failures():
    row = {"status": "failed", "error": "io"}
    good = {"status": "written", "source_bytes": 5, "bytes": 3}
    with watched(Watching(most_failures=MostFailures.parse("2%"))) as watch:
        for i in range(200):
            watch.add(row if i % 50 == 49 else good)
        assert watch.errors.total() == 4
        with pytest.raises(ValueError, match="5 of 201 images failed"):
            watch.add(row)


def test_of_less_than_a_hundred_images_a_share_says_nothing():
    row = {"status": "failed", "error": "io"}
    with watched(Watching(most_failures=MostFailures.parse("2%"))) as watch:
        for _ in range(99):
            watch.add(row)
        with pytest.raises(ValueError, match="100 of 100 images failed"):
            watch.add(row)


def test_a_jpeg_that_would_grow_stays_as_it_is(source):
    """Kept to the byte, and counted; what becomes smaller, or is no JPEG, is encoded."""
    small, large = io.BytesIO(), io.BytesIO()
    smooth_image(40, 40, 3).save(small, "JPEG", quality=3, optimize=True)
    smooth_image(40, 40, 3).save(large, "JPEG", quality=99)
    given = {"small.jpg": small.getvalue(), "large.jpg": large.getvalue(), "tiny.png": png(0)}
    shards = not (source / "images" / "00.png").exists()
    (source / "more").mkdir()
    for name, data in given.items():
        (source / "more" / name).write_bytes(data)
    if shards:
        with tarfile.open("more.tar", "w") as archive:
            archive.add("more", "")
    name = "more.tar" if shards else "more"
    words = ("encode", name, "--preset", "default", "--quality", 90, "--keep-smaller")
    result = call(*words, "--out", "out")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("; 1 would not have become smaller, and stay\n")
    if shards:
        with tarfile.open("out/more.tar") as archive:
            archive.extractall("out", filter="data")
    found = {name: (source / "out" / name).read_bytes() for name in ("small.jpg", "large.jpg")}
    assert found["small.jpg"] == given["small.jpg"]
    assert len(found["large.jpg"]) < len(given["large.jpg"])
    with Image.open("out/tiny.jpg") as image:
        assert image.format == "JPEG"
