"""What a manifest's line may hold: each that is written, and each that is damaged."""

import pytest

from softjpeg import Preset
from softjpeg.corpus.records import is_record, parse_line
from softjpeg.corpus.samples import Encoder, encode_batch

WRITTEN = {"key": "a", "status": "written", "source_sha256": "0", "source_bytes": 1}
WRITTEN |= {"sha256": "0", "bytes": 1}


@pytest.mark.parametrize("data", [b"no image", b"P5 1 1 255 \x80"])
def test_what_is_written_is_one(data):
    (row,) = encode_batch([("a.pgm", data)], Encoder(Preset.from_quality(50)))
    assert is_record(row.facts)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": []},
        {"status": "x"},
        {"bytes": True},
        {"bytes": 2**63},
        {"bytes": "1"},
        {"remarks": "x"},
        {"remarks": [1]},
        {"measures": {"kl": "x"}},
        {"runs": 3},
        {"status": "failed", "error": "io"},
    ],
)
def test_what_is_damaged_is_none(changes):
    assert is_record(WRITTEN)
    assert not is_record(WRITTEN | changes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[1]", "must be an object, got list"),
        (b'{"a": NaN}', "must be a number of 64 bits, got NaN"),
        (b'{"a": 1e999}', "must be a number of 64 bits, got 1e999"),
        (b'{"a": ' + b"[" * 10**5, "nested no deeper than 64"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "nested no deeper than 64"),
    ],
)
def test_lines_that_could_not_be_written_again(data, words):
    with pytest.raises(ValueError, match=words):
        parse_line(data)
