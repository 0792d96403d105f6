"""Ray with two workers, on this machine: the bytes and rows of processes."""

import builtins
import os
import sys
import time
from dataclasses import replace

import pytest

from helpers.images import png
from softjpeg import Preset
from softjpeg.corpus import ray_engine
from softjpeg.corpus.engine import EngineLostError, Entry
from softjpeg.corpus.limits import Limits
from softjpeg.corpus.processes import processes
from softjpeg.corpus.samples import Encoder, encode_batch

ray = pytest.importorskip("ray", reason="softjpeg[ray] is not installed")
pytestmark = pytest.mark.filterwarnings("default")


def deadly(images, encoder):
    """As what encodes, but for images that end its process, or never end."""
    for _, data in images:
        if data == b"kill":
            os.kill(os.getpid(), 9)
        if data == b"stuck":
            time.sleep(600)
    return encode_batch(images, encoder)


def test_the_rows_of_processes_and_a_killed_worker_costs_one(monkeypatch):
    encoder = Encoder(Preset.from_quality(20), "probabilistic", seed=3)
    data = [b"no image" if i == 4 else png(i) for i in range(12)]
    entries = [Entry(str(i), d, i != 6, i) for i, d in enumerate(data)]
    with processes(encoder, 1) as engine:
        expected = list(engine(entries))
    # Workers do not find this module.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    # Ray puts a print of its own in place of Python's.
    monkeypatch.setattr(builtins, "print", print)
    # A busy machine starts slowly.
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with ray_engine.ray_workers(encoder, 2) as engine:
            assert list(engine(entries)) == expected
        monkeypatch.setattr(ray_engine, "_encode", deadly)
        few = replace(encoder, limits=Limits(seconds=5.0))
        bad = [Entry("kill", b"kill", True), Entry("stuck", b"stuck", True)]
        rows = []
        with ray_engine.ray_workers(few, 2) as engine:
            for _, row in engine([*entries, *bad, *entries]):
                rows.append(row)
                # The next is stuck, and idle to wait for; others have all their time.
                monkeypatch.setattr(ray_engine, "_BEGINNING", 1.0 if len(rows) == 13 else 60.0)
        assert [row.facts["error"] for row in rows[12:14]] == ["memory", "limit-seconds"]
        assert rows[:12] == rows[14:] == [row for _, row in expected]
        # Ray lets a task wait for ever whose nodes are gone.
        monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": False}])
        with (
            ray_engine.ray_workers(encoder, 2) as engine,
            pytest.raises(EngineLostError, match="none of Ray's nodes is alive"),
        ):
            list(engine([*entries, *bad[1:]]))
    finally:
        ray.shutdown()
