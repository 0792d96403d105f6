"""``softjpeg encode --network``: every option, said or not, reaches the search, with its value."""

from pathlib import Path

import pytest

from helpers.calls import reached
from helpers.commands import refusal
from helpers.encoding import DRIVER, KEPT
from helpers.small_folder import all_of, fill
from softjpeg.codec.closed_loop.search import EXHAUSTIVE
from softjpeg.corpus.sources import SourceRules

LOOP = ("encode", "photos", "--out", "out", "--network", "net.py:small")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


IN_THE_LOOP = {
    **DRIVER,
    "list_files": True,
    "subsamplings": [],
    "effort": EXHAUSTIVE,
    "passes": 0,
    "by_size": False,
    "batch_size": 32,
}
LADDER = (5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 75, 85, 95)


def test_networks_in_the_loop(folder, monkeypatch):
    place = "softjpeg.corpus.in_the_loop:encode_presets_in_the_loop"
    given, options = reached(monkeypatch, place, *LOOP)
    assert given[:2] == ["photos", "out"]
    assert [*given[2]] == [f"default q {quality}" for quality in LADDER]
    judge = given[3]
    assert [network.name for network in judge.networks] == ["net.py:small"]
    assert (judge.fidelity.name, judge.average) == ("top1", False)
    assert options == IN_THE_LOOP
    words, changed = all_of({**KEPT, ("--effort", "3"): {"effort": 3}})
    several = ("--network", "net.py:other", "--network", "net.py:small", "--average")
    more = ("--keep", "kl:0.25", "--quality", "60,9", "--batch-size", 5, "--center", "0.5")
    given, options = reached(monkeypatch, place, *LOOP, *words, *several, *more)
    judge = given[3]
    assert [network.name for network in judge.networks] == ["net.py:small", "net.py:other"]
    assert (judge.fidelity.name, judge.fidelity.limit) == ("kl:0.25", 0.25)
    assert judge.average
    assert [(name, each.center) for name, each in given[2].items()] == [
        ("default q 9", 0.5),
        ("default q 60", 0.5),
    ]
    assert options == {**IN_THE_LOOP, **changed, "batch_size": 5}


@pytest.mark.parametrize(
    ("words", "names", "samplings", "by_size"),
    [
        (("--subsampling", "4:2:0"), 1, ["4:2:0"], False),
        (("--subsampling", "4:2:0,gray"), 1, ["4:2:0", "gray"], True),
        (("--short-side", "keep,20"), 2, [], True),
        (("--short-side", "20"), 1, [], False),
        (("--preset", "default", "--preset", "preset.json"), 2, [], True),
    ],
)
def test_families_of_candidates(folder, monkeypatch, words, names, samplings, by_size):
    place = "softjpeg.corpus.in_the_loop:encode_presets_in_the_loop"
    given, options = reached(monkeypatch, place, *LOOP, "--quality", 30, *words)
    assert len(given[2]) == names
    assert (options["subsamplings"], options["by_size"]) == (samplings, by_size)


def test_a_repair_writes_whole_images_one_after_another(folder, monkeypatch):
    place = "softjpeg.corpus.in_the_loop:encode_presets_in_the_loop"
    options = reached(monkeypatch, place, *LOOP, "--effort", "repair:3")[1]
    assert (options["effort"], options["passes"]) == (EXHAUSTIVE, 3)
    said = refusal(*LOOP, "--effort", "repair", "--progressive")
    assert said == "--effort repair writes sequential files: leave --progressive out"
    for words in (("--short-side", 20), ("--center", "0.5")):
        assert "stores images whole" in refusal(*LOOP, "--effort", "repair", *words)


def test_readers_are_not_asked_in_the_loop(folder, monkeypatch):
    place = "softjpeg.corpus.in_the_loop:encode_presets_in_the_loop"
    given, _options = reached(monkeypatch, place, *LOOP, "--reader", "net.py:other")
    assert [network.name for network in given[3].networks] == ["net.py:small"]
    read = "softjpeg.corpus.file_answers:read_files"
    more = ("--truncated", "keep", "--jobs", 2, "--quality", "30,60")
    given, options = reached(monkeypatch, read, *LOOP, "--reader", "net.py:other", *more)
    assert [network.name for network in given[0]] == ["net.py:small", "net.py:other"]
    assert [(Path(a).name, Path(b).name) for a, b in given[1]] == [
        (f"{i}.png", f"{i}.jpg") for i in range(3)
    ]
    assert options == {"rules": SourceRules(truncated="keep"), "jobs": 2}
