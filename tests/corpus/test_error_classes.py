"""What a retry asks for, of the exceptions that reading and writing really raise."""

import errno
import io
import socket
import urllib.error

import pytest
import torch
from PIL import Image

from helpers.images import smooth_image
from softjpeg.codec.byte_limit import TooLargeError
from softjpeg.common.image_files import read_upright
from softjpeg.corpus.error_classes import error_class
from softjpeg.corpus.limits import Limits


def raised(function, *words):
    try:
        function(*words)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_damaged_absent_and_large_images(tmp_path):
    path = tmp_path / "a.png"
    smooth_image(40, 40).save(path)
    assert error_class(raised(Limits(pixels=9).check, path)) == "limit-pixels"
    path.write_bytes(path.read_bytes()[:700])
    assert error_class(raised(read_upright, path)) == "decode"
    path.write_bytes(b"text")
    assert error_class(raised(read_upright, path)) == "decode"
    assert error_class(raised(Limits().check, path)) == "decode"
    for read in (read_upright, Limits().check):
        assert error_class(raised(read, tmp_path / "absent.png")) == "io"


def test_a_connection_that_is_refused():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
    assert error_class(raised(socket.create_connection, address)) == "network"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "io"),
        (PermissionError(errno.EACCES, "Permission denied"), "io"),
        (urllib.error.URLError(socket.gaierror(-2, "Name not known")), "network"),
        (TimeoutError(), "network"),
        (MemoryError(), "memory"),
        (Image.DecompressionBombError(), "limit-pixels"),
        (TooLargeError("no quality has at most 9 bytes"), "limit-output"),
        (KeyError("a"), "other"),
    ],
)
def test_classes(error, expected):
    if isinstance(error, urllib.error.URLError):
        error.__cause__ = error.reason
    assert error_class(error) == expected


def test_torch_says_otherwise_that_memory_is_short():
    assert error_class(raised(torch.empty, 1 << 45)) == "memory"


def test_the_cause_says_more():
    error = ValueError("a.png cannot be read")
    error.__cause__ = ConnectionResetError()
    assert error_class(error) == "network"
    assert error_class(raised(Image.open, io.BytesIO(b"text"))) == "decode"
