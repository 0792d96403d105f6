"""`tests/chaos`, as often as every run of the tests can afford."""

from pathlib import Path

import pytest

from helpers import warm


@pytest.mark.parametrize("command", ["encode", "encode shards", "learn"])
def test_killed_at_random_moments(command):
    if command == "encode shards":
        pytest.importorskip("pebble")
        pytest.importorskip("pyarrow")
    chaos = Path(__file__).parents[1] / "chaos"
    done = warm.run(chaos, "--kills", "1", "--only", command)
    assert done.returncode == 0, done.stderr
    assert "all byte-equal" in done.stdout
