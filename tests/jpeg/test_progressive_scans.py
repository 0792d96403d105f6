"""Scans of progressive files, with libjpeg-turbo as the judge, which warns and goes on."""

import io

import jpeglib
import numpy as np
import pytest
from PIL import Image

from fuzz.corpora import Silenced
from fuzz.test_fuzz import mutated
from helpers.images import smooth_image
from helpers.jpeg_files import jpeg, noise
from softjpeg.corpus.sources import jpeg_fault
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.progressive import smaller_as_progressive
from softjpeg.jpeg.progressive_scans import check_progressive

SMOOTH = jpeg(smooth_image(70, 90, 3, cells=20), quality=85, progressive=True)
PLAIN = jpeg(noise(size=(90, 70)), progressive=True)
RESTARTS = jpeg(noise(size=(90, 70)), progressive=True, restart_marker_blocks=2)
GRAY = jpeg(noise("L", (90, 70)), progressive=True, quality=30)


def fault(data):
    """What is wrong with it; empty where nothing is."""
    try:
        check_progressive(segments(data))
    except ValueError as error:
        return str(error)
    return ""


def warned(path, data):
    """What libjpeg-turbo says of it on the way; None where it gives up."""
    path.write_bytes(data)
    with Silenced() as said, jpeglib.version("turbo210"):
        try:
            found = jpeglib.read_dct(str(path))
            assert found.Y is not None
        except OSError:
            return None
    return said().decode(errors="replace")


@pytest.mark.parametrize("quality", [1, 30, 85, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1"])
def test_whole_files_have_no_fault(quality, subsampling):
    for image in (noise(size=(53, 37)), smooth_image(50, 71, 2, cells=20)):
        options = {"quality": quality, "subsampling": subsampling, "progressive": True}
        for restarts in ({}, {"restart_marker_blocks": 3}, {"restart_marker_rows": 1}):
            assert fault(jpeg(image, **options, **restarts)) == ""


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_of_one_and_of_four_components(mode):
    image = smooth_image(41, 57, 2, cells=20).convert(mode)
    assert fault(jpeg(image, progressive=True)) == ""
    assert fault(jpeg(image, progressive=True)[:-30]) != ""


def test_other_scans_than_libjpegs():
    for quality in (20, 75, 98):
        data = smaller_as_progressive(jpeg(smooth_image(200, 160, 4, cells=40), quality=quality))
        assert any(piece.name == "SOF2" for piece in segments(data))
        assert fault(data) == ""


def test_whatever_libjpeg_warns_of_is_a_fault(tmp_path):
    rng, warnings, silent = np.random.default_rng(5), 0, 0
    files = [PLAIN, RESTARTS, GRAY, SMOOTH]
    for n in range(240):
        data = mutated(files[n % 4], rng)
        said = warned(tmp_path / "a.jpg", data)
        if said is None:
            continue
        try:
            found = fault(data)
        except Exception as error:
            raise AssertionError(f"file {n}") from error
        # Bytes between segments are skipped, where no scan is missing.
        said = [line for line in said.splitlines() if line and "extraneous" not in line]
        if said:
            warnings += 1
            assert found, (n, said)
        elif not found:
            silent += 1
    assert warnings > 60
    assert silent > 0


def changed(data, scan, place, what):
    """Bytes of one of the scans, from a share of its length on, replaced."""
    piece = [piece for piece in segments(data) if piece.name == "scan"][scan]
    at = piece.offset + int(place * piece.length)
    return data[:at] + what + data[at + len(what) :]


@pytest.mark.parametrize("scan", range(7))
def test_a_wrong_byte_is_often_noticed(scan):
    """It may make another picture's file: bits that refine DC may be any."""
    noticed = sum(
        bool(fault(changed(SMOOTH, scan, place, bytes([value]))))
        for place in (0.2, 0.5, 0.8)
        for value in (0x00, 0x55, 0xAA, 0xFE)
    )
    assert noticed == 0 if scan == 6 else noticed >= 4


def test_scans_that_do_not_fit_each_other():
    pieces = segments(SMOOTH)
    headers = [piece for piece in pieces if piece.name == "SOS"]
    assert [tuple(piece.payload[-3:-1]) for piece in headers][:2] == [(0, 0), (1, 5)]

    def with_header(number, payload):
        piece = headers[number]
        at = piece.offset + 4
        return SMOOTH[:at] + payload + SMOOTH[at + len(payload) :]

    first = headers[1].payload
    for payload, words in (
        (first[:-3] + bytes([5, 1, first[-1]]), "scan 2 sends coefficients 5 to 1"),
        (first[:-3] + bytes([0, 5, first[-1]]), "scan 2 sends coefficients 0 to 5"),
        (first[:-3] + bytes([1, 64, first[-1]]), "scan 2 sends coefficients 1 to 64"),
        (first[:-1] + b"\x21", "scan 2 goes on from another bit than was sent"),
        (first[:1] + b"\x09" + first[2:], "SOS names an unknown component 9"),
        (first[:2] + b"\x03" + first[3:], "scan 2 has no Huffman table"),
    ):
        assert fault(with_header(1, payload)).removeprefix("data is corrupt: ") == words
    start, end = headers[0].offset, headers[1].offset
    assert "AC before DC" in fault(SMOOTH[:start] + SMOOTH[end:])
    # Scans may be left out, but not in pieces.
    last = headers[-1].offset
    assert fault(SMOOTH[:last] + b"\xff\xd9") == ""
    lost = "bytes between its segments may have been the scan that is missing"
    assert fault(SMOOTH[:last] + SMOOTH[last + 2 :]) == f"data is corrupt: {lost}"
    assert fault(SMOOTH[:last] + b"bytes" + SMOOTH[last:]) == ""
    only_luma = SMOOTH[: headers[0].offset] + b"\xff\xd9"
    assert "a component of the image has no scan" in fault(only_luma)
    assert "sequential JPEG (SOF0)" in fault(jpeg())


def test_the_middle_of_a_progressive_photo_is_looked_at():
    """Pillow shows it without a word."""
    bad = changed(SMOOTH, 1, 0.5, b"\x00\x55\xaa")
    with Image.open(io.BytesIO(bad)) as shown, Image.open(io.BytesIO(SMOOTH)) as whole:
        assert shown.tobytes() != whole.tobytes()
        assert "is not whole" in jpeg_fault(bad, shown)
        assert jpeg_fault(SMOOTH, whole) == ""
