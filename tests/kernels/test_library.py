"""When the C kernels are used, and that softjpeg works without them."""

import os

import pytest

from helpers import warm
from softjpeg.kernels import library as libraries

NAMES = ("_coder", "_decisions", "_layer")


@pytest.fixture(autouse=True)
def _forget_opened():
    libraries._OPENED.clear()
    yield
    libraries._OPENED.clear()


@pytest.mark.parametrize("name", NAMES)
def test_switched_off(name, monkeypatch):
    monkeypatch.setenv("SOFTJPEG_KERNELS", "0")
    assert not libraries.is_available(name)


@pytest.mark.parametrize("name", NAMES)
def test_older_than_its_sources(name, monkeypatch):
    monkeypatch.delenv("SOFTJPEG_KERNELS", raising=False)
    if not libraries.is_available(name):
        pytest.skip("the C kernels were not built")
    libraries._OPENED.clear()
    monkeypatch.setattr(libraries, "sources_digest", lambda folder: "another")
    with pytest.warns(UserWarning, match=f"{name} is older than its sources"):
        assert not libraries.is_available(name)


def test_files_are_the_same_without_kernels():
    program = (
        "import warnings; warnings.simplefilter('error');"
        "import hashlib, numpy, softjpeg;"
        "pixels = numpy.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=numpy.uint8);"
        "preset = softjpeg.Preset.from_quality(60);"
        "data = softjpeg.encode(pixels, preset, header='compact');"
        "data += softjpeg.encode(pixels, preset, 'probabilistic', seed=1);"
        "print(hashlib.sha256(data).hexdigest())"
    )
    digests = [
        warm.run("-c", program, env=os.environ | {"SOFTJPEG_KERNELS": value}).stdout
        for value in ("1", "0")
    ]
    assert len(digests[0].strip()) == 64
    assert digests[0] == digests[1]
