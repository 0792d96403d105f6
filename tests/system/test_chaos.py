"""`tests/chaos`, as often as every run of the tests can afford."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", ["encode", "encode shards", "learn"])
def test_killed_at_random_moments(command):
    if command == "encode shards":
        pytest.importorskip("pebble")
        pytest.importorskip("pyarrow")
    words = [sys.executable, Path(__file__).parents[1] / "chaos", "--kills", "1", "--only", command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all byte-equal" in done.stdout
