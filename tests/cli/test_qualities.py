"""``softjpeg qualities``: every option, said or not, reaches what it is for, with its value."""

import json
from pathlib import Path

import pytest
import torch

from helpers.calls import plain, reached, spy
from helpers.commands import call, refusal
from helpers.small_folder import READ, READ_SO, READING, all_of, fill
from softjpeg.evaluation.qualities import QualitySweep

QUALITIES = ("qualities", "net.py:small", "photos", "--labels", "labels.csv", "--out", "q.html")
SAID = {
    "qualities": range(1, 101),
    "subsampling": "4:2:0",
    "batch_size": 32,
    "progress": True,
}
OPTIONS = {
    ("--quality", "9,44"): {"qualities": (9, 44)},
    ("--subsampling", "4:2:2"): {"subsampling": "4:2:2"},
    ("--batch-size", "5"): {"batch_size": 5},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What commands read, in the current folder."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)


def test_options_reach_the_sweep(folder, monkeypatch):
    words, changed = all_of(OPTIONS)
    for more, change in (((), {}), (words, changed)):
        given, options = reached(
            monkeypatch, "softjpeg.evaluation.qualities:sweep_qualities", *QUALITIES, *more
        )
        assert given == ["Reader", (3, 3, 16, 16), [2, 0, 1]]
        assert options == {**SAID, **change}


def test_images(folder, monkeypatch):
    for words, expected in (((), READ), (READING, READ_SO)):
        given, options = reached(
            monkeypatch, "softjpeg.cli.qualities:load_inputs", *QUALITIES, *words
        )
        names = ("size", "resize", "limit", "seed")
        assert given == [
            *("net.py:small", "photos", "labels.csv"),
            *(expected[name] for name in names),
        ]
        assert options == {"follow_links": expected["follow_links"]}


def test_files(folder, monkeypatch):
    words = (*QUALITIES, "--json", "q.json")
    given, _ = reached(monkeypatch, "softjpeg.cli.qualities:check_outputs", *words)
    assert given == [
        {"--out": "q.html", "--json": "q.json"},
        ["net.py:small", "photos", "labels.csv"],
    ]
    assert refusal(*QUALITIES[:3], *QUALITIES[5:]).startswith("labels must be given (--labels)")


def test_what_is_said_and_written(folder, monkeypatch):
    sweep = QualitySweep(
        qualities=(10, 90, 100),
        subsampling="4:2:0",
        # One gets better below 100, one at 100 alone, one never.
        ranks=torch.tensor([[1, 2, 2], [3, 3, 1], [1, 4, 4]]),
        probabilities=torch.tensor([[0.5, 0.2, 0.2], [0.1, 0.1, 0.6], [0.7, 0.1, 0.1]]),
        sizes=torch.tensor([[100, 200, 400]] * 3),
        original_ranks=torch.tensor([2, 3, 1]),
        original_probabilities=torch.tensor([0.3, 0.1, 0.7]),
    )
    spy(monkeypatch, "softjpeg.evaluation.qualities:sweep_qualities", lambda *_, **__: sweep)
    pages = spy(monkeypatch, "softjpeg.report.quality_page:quality_page")
    result = call(*QUALITIES, "--json", "q.json", "--seed", 6)
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "top-1 33.3 % on the images as given; best quality of each image 100.0 %; some quality "
        "ranks the true label higher for 33.3 % of 3 images\nwrote q.html\n"
    )
    ((given, pixels, names), options) = pages[0]
    assert given is sweep
    assert plain([pixels, names]) == [(3, 3, 16, 16), ("0.png", "1.png", "2.png")]
    assert options["title"] == "net.py:small and JPEG's quality"
    assert options["facts"]["seed"] == "6"
    assert options["facts"]["size"] == "[16, 16]"
    assert "and JPEG's quality" in Path("q.html").read_text().replace("&#39;", "'")
    body = json.loads(Path("q.json").read_text())
    assert body["provenance"]["seed"] == 6
    assert body["sweep"]["qualities"] == [10, 90, 100]
