"""The processes of the service."""

import os

import pytest

from softjpeg.corpus.service.settings import Settings
from softjpeg.corpus.service.workers import Workers


@pytest.mark.skipif(not hasattr(os, "nice"), reason="processes have no nice value here")
def test_processes_that_encode_give_way_to_the_one_that_answers():
    workers = Workers(Settings({"default": "default"}))
    try:
        assert workers._pool.schedule(os.nice, (0,)).result() == min(os.nice(0) + 5, 19)
    finally:
        workers.stop()
