"""``softjpeg encode``: every option, said or not, reaches what encodes, with its value."""

import sys
import tarfile
from pathlib import Path

import pytest

from helpers.calls import reached
from helpers.commands import call, refusal
from helpers.encoding import BOOKS, DRIVER, KEPT
from helpers.small_folder import all_of, fill
from softjpeg import Preset
from softjpeg.corpus.folders import FILE_LIMITS
from softjpeg.corpus.limits import Limits
from softjpeg.corpus.sources import SourceRules
from softjpeg.corpus.watch import MostFailures, Watching

ENCODE = ("encode", "photos", "--out", "out")
PLAIN = (*ENCODE, "--preset", "default", "--quality", 30)
LOOP = (*ENCODE, "--network", "net.py:small")

FOLDER = {
    **{**DRIVER, "manifest": False, "seconds": None, "limits": FILE_LIMITS},
    **{"keep_smaller": False, "requantize": False},
}
OF_FOLDERS = {
    ("--manifest",): {"manifest": True},
    (
        *("--seconds", "4.5", "--max-pixels", "50", "--max-source-bytes", "60"),
        *("--max-frames", "7"),
    ): {"seconds": 4.5, "limits": Limits(50, 60, 7, 4.5)},
    ("--keep-smaller",): {"keep_smaller": True},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


def test_a_folder(folder, monkeypatch):
    place = "softjpeg.corpus.folders:encode_files"
    words, changed = all_of({**KEPT, **OF_FOLDERS})
    for more, change in (((), {}), (words, changed)):
        given, options = reached(monkeypatch, place, *PLAIN, *more)
        assert (given[0], given[2]) == ("photos", "out")
        assert given[1].luma.tolist() == Preset.from_quality(30).luma.tolist()
        assert given[1].subsampling == "4:2:0"
        assert options == {**FOLDER, **change}
    more = ("--subsampling", "gray", "--reader", "net.py:small", "--short-side", 24)
    given, options = reached(monkeypatch, place, *PLAIN, *more, "--center", "0.5")
    assert options == {**FOLDER, "gray": True, "list_files": True}
    assert (given[1].short_side, given[1].center) == (24, 0.5)
    given, options = reached(monkeypatch, place, *PLAIN, "--subsampling", "4:2:2")
    assert (given[1].subsampling, "gray" in options) == ("4:2:2", False)
    given, _options = reached(monkeypatch, place, *PLAIN, "--max-bytes", 999)
    assert (given[1].most, given[1].highest) == (999, 30)


def test_coefficients_of_their_own(folder, monkeypatch):
    place = "softjpeg.corpus.folders:encode_files"
    options = reached(monkeypatch, place, *PLAIN, "--requantize")[1]
    assert options == {**FOLDER, "requantize": True}
    given, _options = reached(
        monkeypatch, "softjpeg.corpus.dry_run:dry_run", *PLAIN, "--requantize", "--dry-run", 2
    )
    assert given[1].requantize


def test_lines_of_json_go_to_standard_output(folder, monkeypatch):
    _given, options = reached(monkeypatch, "softjpeg.corpus.folders:encode_files", *PLAIN, "--json")
    assert options["watching"].rows is not None
    assert options["watching"].rows is not sys.stderr


@pytest.fixture
def shards(folder):
    """A folder of one tar file."""
    Path("shards").mkdir()
    with tarfile.open("shards/0.tar", "w") as tar:
        for name in ("0", "1", "2"):
            tar.add(f"photos/{name}.png", f"{name}.png")


def test_shards(shards, monkeypatch):
    words = ("encode", "shards", *PLAIN[2:])
    place = "softjpeg.corpus.shards:encode_shards"
    given, options = reached(monkeypatch, place, *words)
    assert (given[0], given[2]) == ("shards", "out")
    assert options == {**BOOKS, "engine": "local"}
    encoder = given[1]
    assert encoder.preset.luma.tolist() == Preset.from_quality(30).luma.tolist()
    assert (encoder.mode, encoder.seed, encoder.rules) == ("hard", 0, SourceRules())
    assert (encoder.limits, encoder.options) == (Limits(seconds=60.0), {})
    assert encoder.keep_smaller is encoder.requantize is False
    more = ("--seconds", 7, "--seed", 5, "--mode", "rdo", "--keep-smaller", "--engine", "ray")
    some = ("--max-pixels", 50, "--max-source-bytes", 60, "--max-frames", 8)
    books = ("--jobs", 3, "--retry", "limit", "--verify", "--max-failures", 4)
    rules = ("--background", "1,2,3", "--header", "compact", "--progressive", "--no-metadata")
    given, options = reached(monkeypatch, place, *words, *more, *some, *books, *rules)
    assert options == {
        **{"retry": "limit", "verify": True, "jobs": 3, "engine": "ray"},
        "watching": Watching(True, None, None, MostFailures(count=4)),
    }
    encoder = given[1]
    assert (encoder.mode, encoder.seed, encoder.keep_smaller) == ("rdo", 5, True)
    assert (encoder.rules, encoder.limits) == (
        SourceRules(background=(1, 2, 3)),
        Limits(50, 60, 8, 7.0),
    )
    assert encoder.options == {"header": "compact", "progressive": True, "metadata": False}


def test_a_dry_run(folder, monkeypatch):
    place = "softjpeg.corpus.dry_run:dry_run"
    given, options = reached(monkeypatch, place, *PLAIN, "--dry-run", 2, "--subsampling", "gray")
    assert (given[0], given[2:], options) == ("photos", [2, "out"], {})
    assert (given[1].limits, given[1].options) == (FILE_LIMITS, {"gray": True})
    result = call(*PLAIN, "--dry-run", 2)
    assert result.stdout.startswith("2 of 3 images encoded, and nothing written")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((*LOOP, option, *value), "are for images that no network is asked about")
        for option, *value in (
            ("--seconds", 3),
            ("--max-bytes", 900),
            ("--keep-smaller",),
            ("--requantize",),
            ("--max-pixels", 9),
            ("--max-source-bytes", 9),
            ("--max-frames", 9),
            ("--dry-run", 2),
        )
    ]
    + [
        ((*PLAIN[:2], "--out", "s3://x/y", *PLAIN[4:]), "only shards are written to a URL"),
        ((*LOOP[:2], "--out", "s3://x/y", *LOOP[4:]), "only shards are written to a URL"),
        ((*PLAIN, "--engine", "ray"), "--engine is of shards: leave ray out"),
        ((*LOOP, "--engine", "ray"), "--engine is of shards: leave ray out"),
        ((*PLAIN, "--retry", "all"), "go by a manifest: say --manifest, too"),
        ((*PLAIN, "--verify"), "go by a manifest: say --manifest, too"),
        ((*PLAIN, "--json", "--reader", "net.py:small"), "leave --reader out"),
        ((*PLAIN, "--max-failures", "many"), "must be a number, or one with %, got many"),
        ((*PLAIN, "--metrics", "absent/m"), "--metrics absent/m: the folder absent does not"),
        ((*PLAIN, "--quality", "3,4"), "--quality takes one value without --network, got '3,4'"),
        (ENCODE, "--preset takes one value without --network, got 0"),
        ((*PLAIN, "--preset", "preset.json"), "--preset takes one value without --network, got 2"),
        ((*PLAIN, "--subsampling", "gray,4:2:0"), "--subsampling takes one value without"),
        ((*ENCODE, "--preset", "default"), "choose a --quality from 1 to 100"),
    ],
)
def test_what_there_is_not_is_refused(folder, words, sentence):
    assert sentence in refusal(*words)


@pytest.mark.parametrize(
    "words", [("--manifest",), ("--name-collision", "suffix"), ("--reader", "net.py:small")]
)
def test_what_is_of_folders_alone_is_refused_of_shards(shards, words):
    said = refusal("encode", "shards", *PLAIN[2:], *words)
    assert said.startswith("shards holds shards, which have manifests of their own")
