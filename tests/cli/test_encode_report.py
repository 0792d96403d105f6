"""What `softjpeg encode` says at its end, of figures put in by hand."""

import json
from collections import Counter
from pathlib import Path

import pytest
import typer

from softjpeg.cli.encode_report import report, report_dry_run, report_shards
from softjpeg.corpus.dry_run import DryRun, Estimate
from softjpeg.corpus.shards import ShardSummary
from softjpeg.corpus.writing import EncodeSummary

TOTALS = {"done": 2, "kept": 1, "requantized": 3, "bytes_in": 4000, "bytes_out": 1000}


def test_of_folders(capsys):
    report(EncodeSummary(written=3, bytes_in=1234567, bytes_out=123456), "top1", False)
    assert capsys.readouterr().out == "3 images: 1,234,567 bytes in, 123,456 bytes out (10.0%)\n"
    report(EncodeSummary(), "top1", False)
    assert capsys.readouterr().out == "0 images: 0 bytes in, 0 bytes out\n"
    summary = EncodeSummary(
        written=3,
        **TOTALS,
        totals=Counter(searched=4, kept=3, runs=10),
        failures=[(Path("a"), ValueError("a is\n bad")), (Path("x"), ValueError("bad"))],
        left_out={"left out": [Path("c"), Path("d")]},
        remarks={"remark": [Path("e")]},
        errors=Counter(decode=2),
    )
    report(summary, "kl:0.1", False)
    said = capsys.readouterr()
    assert said.out == (
        "5 images (2 done already): 4,000 bytes in, 1,000 bytes out (25.0%); 1 would not have "
        "become smaller, and stay; 3 from their own coefficients\n"
        "3 of 4 keep kl:0.1, the others are their best candidate's; each network read 2.5 files "
        "of an image\n"
    )
    lines = ["a is bad", "x: bad", "left out (2): c, d", "remark (1): e"]
    assert said.err.splitlines() == [f"softjpeg: {line}" for line in lines]
    report(summary, "kl:0.1", True)
    said = capsys.readouterr()
    counts = {"images": 5, "failed": 2, "errors": {"decode": 2}}
    assert json.loads(said.out) == {"total": {**counts, **TOTALS}}
    assert len(said.err.splitlines()) == 4


def test_of_shards(capsys):
    whole = ShardSummary(shards=3, images=7, **TOTALS)
    report_shards(whole, False)
    said = capsys.readouterr()
    assert said.out == (
        "7 images in 3 shards (2 done already): 4,000 bytes in, 1,000 bytes out (25.0%); 1 would "
        "not have become smaller, and stay; 3 from their own coefficients\n"
    )
    assert said.err == ""
    report_shards(whole, True)
    counts = {"images": 7, "failed": 0, "errors": {}}
    assert json.loads(capsys.readouterr().out) == {"total": {**counts, **TOTALS}}


@pytest.mark.parametrize(
    ("failed", "failures", "lines"),
    [
        (3, [], ["3 images were left out: 1 decode, 2 limit"]),
        (0, [("s.tar", ValueError("bad"))], ["s.tar: bad", "1 shards were not written"]),
    ],
)
def test_of_shards_that_failed(capsys, failed, failures, lines):
    errors = Counter(limit=2, decode=1) if failed else Counter()
    summary = ShardSummary(shards=1, images=7, failed=failed, errors=errors, failures=failures)
    with pytest.raises(typer.Exit) as end:
        report_shards(summary, False)
    assert end.value.exit_code == 3
    assert capsys.readouterr().err.splitlines() == [f"softjpeg: {line}" for line in lines]
    with pytest.raises(typer.Exit):
        report_shards(summary, True)
    assert json.loads(capsys.readouterr().out)["total"]["failed"] == failed


def test_of_a_dry_run(capsys):
    found = DryRun(
        *(900, 40, Estimate(8000, 7000.4, 9000.6), Estimate(2000, 1000, 3000)),
        *(Estimate(0.01234, 0.01, 0.02), Estimate(0.025, 0, 0.1), {"limit": 2, "decode": 1}),
    )
    report_dry_run(found, False)
    assert capsys.readouterr().out == (
        "40 of 900 images encoded, and nothing written; of all, with what holds 95 times of 100:\n"
        "8,000 (7,000 to 9,001) bytes in\n"
        "2,000 (1,000 to 3,000) bytes out (25.0%)\n"
        "0.0123 (0.01 to 0.02) core-hours\n"
        "2.50% (0.00% to 10.00%) fail: 1 decode, 2 limit\n"
    )
    report_dry_run(found, True)
    assert json.loads(capsys.readouterr().out)["bytes_out"] == {
        **{"value": 2000, "low": 1000, "high": 3000}
    }
    nothing = Estimate(0, 0, 0)
    report_dry_run(DryRun(9, 2, nothing, nothing, nothing, nothing, {}), False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "0 (0 to 0) bytes out"
    assert lines[4] == "0.00% (0.00% to 0.00%) fail"
