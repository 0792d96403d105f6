"""What a dry run expects, beside what the run then does."""

import json
import random
import tarfile

import pytest

from helpers.commands import call, refusal
from helpers.images import smooth_image
from softjpeg import Preset
from softjpeg.corpus.dry_run import dry_run, share_of, sum_of
from softjpeg.corpus.samples import Encoder

WORDS = ("--preset", "default", "--quality", 30, "--out", "out")


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(24):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth_image(16 + i, 24, i).save(path)
    (tmp_path / "photos" / "a" / "0.png").write_bytes(b"no image")
    return tmp_path


def test_of_all_images_it_says_what_the_run_writes(photos):
    result = call("encode", "photos", *WORDS, "--dry-run", 100, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert not (photos / "out").exists()
    assert (found["images"], found["sample"], found["errors"]) == (24, 24, {"decode": 1})
    lines = call("encode", "photos", *WORDS, "--json").stdout.splitlines()
    total = json.loads(lines[-1])["total"]
    for way in ("bytes_in", "bytes_out"):
        assert found[way] == dict.fromkeys(("value", "low", "high"), total[way])
    assert found["failed"]["value"] == 1 / 24
    words = call("encode", "photos", *WORDS, "--dry-run", 5).stdout
    assert words.startswith("5 of 24 images encoded, and nothing written")
    assert refusal("encode", "photos", *WORDS, "--dry-run", 0) == (
        "--dry-run must be at least 1, got 0"
    )


def test_of_shards_it_reads_the_same_images(photos):
    pytest.importorskip("pebble")
    (photos / "shards").mkdir()
    with tarfile.open("shards/a.tar", "w") as archive:
        archive.add("photos", "")
    encoder = Encoder(Preset.from_quality(30))
    ours, theirs = (dry_run(photos / name, encoder, 100) for name in ("shards", "photos"))
    assert (ours.images, ours.bytes_out, ours.errors) == (
        *(theirs.images, theirs.bytes_out, theirs.errors),
    )


def test_intervals_hold_what_they_say():
    """Of 400 samples of a known whole, about 95 of 100 intervals hold its sum and its share."""
    draw = random.Random(0)
    values = [draw.lognormvariate(0, 0.5) for _ in range(400)]
    failed = [draw.random() < 0.1 for _ in values]
    sums = shares = 0
    for _ in range(400):
        chosen = draw.sample(range(400), 80)
        found = sum_of([values[i] for i in chosen], 400)
        sums += found.low <= sum(values) <= found.high
        share = share_of(sum(failed[i] for i in chosen), 80)
        shares += share.low <= sum(failed) / 400 <= share.high
    assert 365 <= sums <= 395
    # Wilson's takes no account of a finite whole.
    assert shares >= 375
