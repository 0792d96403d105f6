"""A run's log, as a run writes it and as it is found after what may happen to a file."""

import json

import pytest

from helpers.damaged_lines import DAMAGED_LINES
from softjpeg.training.log import Log, read_log

RECORDS = [{"event": "step", "step": step, "loss": step / 2} for step in range(4)]


def written(path, *lines):
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.fixture
def whole(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    for record in RECORDS:
        values = dict(record)
        log.write(values.pop("event"), values.pop("step"), **values)
    return tmp_path / "log.jsonl"


def test_what_is_written_is_read(whole):
    assert read_log(whole) == RECORDS
    assert [json.loads(line) for line in whole.read_text().splitlines()] == RECORDS


def test_wherever_it_is_cut_off_whole_records_stay(whole):
    data = whole.read_bytes()
    for end in range(len(data)):
        whole.write_bytes(data[:end])
        # A record is whole with its brace; these have one each.
        assert read_log(whole) == RECORDS[: data[:end].count(b"}")]


DAMAGED = DAMAGED_LINES | {
    "nothing": b"",
    "no step": b'{"event": "step"}',
    "no event": b'{"step": 3}',
    "an event that is none": b'{"event": 5, "step": 3}',
    "a step that is text": b'{"event": "step", "step": "3"}',
    "a step that is true": b'{"event": "step", "step": true}',
    "half a step": b'{"event": "step", "step": 0.5}',
}


@pytest.mark.parametrize("line", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_ends_a_log_or_is_named(tmp_path, line):
    good = [json.dumps(record).encode() for record in RECORDS]
    path = tmp_path / "log.jsonl"
    assert read_log(written(path, *good[:2], line)) == RECORDS[:2]
    assert read_log(written(path, *good[:2], line, line)) == RECORDS[:2]
    written(path, *good[:2], line, line, good[2])
    before = path.read_bytes()
    for read in (read_log, Log):
        with pytest.raises(ValueError, match=r"log\.jsonl, line 3: this is no record of a run"):
            read(path)
    assert path.read_bytes() == before


def test_a_log_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_log(tmp_path / "log.jsonl")
    Log(tmp_path / "log.jsonl").write("start", 0)
    assert read_log(tmp_path / "log.jsonl") == [{"event": "start", "step": 0}]
