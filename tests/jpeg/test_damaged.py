"""Damaged files without `strict`: libjpeg-turbo, which warns and goes on, is the judge."""

import io

import jpeglib
import numpy as np
import pytest
from PIL import Image, ImageFile

from fuzz.corpora import Silenced, equal
from fuzz.test_fuzz import mutated
from helpers.jpeg_files import jpeg, noise
from softjpeg.codec.recode import recode
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.reader import read_coefficients

SIZE = (90, 70)
PLAIN = jpeg(noise(size=SIZE))
RESTARTS = jpeg(noise(size=SIZE), restart_marker_blocks=2)
GRAY = jpeg(noise("L", SIZE), optimize=True)


def scan_of(data):
    """Where a file's scan starts and ends."""
    piece = next(piece for piece in segments(data) if piece.name == "scan")
    return piece.offset, piece.offset + piece.length


def changed(data, place, what, instead=0):
    """Bytes put into a scan at a share of its length, in the place of some."""
    start, end = scan_of(data)
    at = start + int(place * (end - start))
    return data[:at] + what + data[at + instead :]


def longer_run():
    """The first AC symbol of gray is a run of 15 and a value, and so are the next ones."""
    table = bytes([0x10, 1, *[0] * 15, 0xF1])
    pieces = [
        GRAY[p.offset : p.offset + p.length]
        if p.name != "DHT" or p.payload[0] < 16
        else b"\xff\xc4" + (len(table) + 2).to_bytes(2, "big") + table
        for p in segments(GRAY)
    ]
    return b"".join(pieces)


def without_marker(data, number):
    at = data.index(bytes([0xFF, 0xD0 + number]), scan_of(data)[0])
    return data[:at] + data[at + 2 :]


FAULTS = {
    "cut off": PLAIN[:-400],
    "cut off after a full byte": PLAIN[: PLAIN.index(b"\xff\0", scan_of(PLAIN)[0]) + 1],
    "cut off in metadata behind the scan": PLAIN[:-2] + b"\xff\xfe\x40\0abc",
    "EOI early": changed(PLAIN, 0.5, b"\xff\xd9"),
    "bytes between": changed(PLAIN, 0.5, b"garbage"),
    "bytes left over": changed(PLAIN, 1, bytes(90)),
    "bytes before a marker": changed(PLAIN, 0, b""),
    "no code matches": changed(GRAY, 0.3, b"\xff\0" * 4, 8),
    "a run past its block": longer_run(),
    "a restart marker where there are none": changed(PLAIN, 0.5, b"\xff\xd0"),
    "a restart marker too many": changed(RESTARTS, 0.5, b"\xff\xd3"),
    "no marker's byte": changed(RESTARTS, 0.5, b"\xff\x05"),
    "another marker": changed(RESTARTS, 0.5, b"\xff\xe1\0\x05abc"),
    **{f"RST{n} missing": without_marker(RESTARTS, n) for n in (0, 3)},
    "two restart markers missing": without_marker(without_marker(RESTARTS, 2), 3),
    "restart markers cut off": RESTARTS[:-900],
}


def by_turbo(path, data):
    """Coefficients of libjpeg-turbo 2.1; None where it gives up."""
    path.write_bytes(data)
    with Silenced(), jpeglib.version("turbo210"):
        # Planes are read when they are asked for.
        try:
            found = jpeglib.read_dct(str(path))
            return [plane for plane in (found.Y, found.Cb, found.Cr) if plane is not None]
        except OSError:
            return None


def by_pillow(data, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Silenced():
        return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", FAULTS)
def test_what_libjpeg_makes_of_it(name, tmp_path, monkeypatch):
    data = FAULTS[name]
    if name != "bytes before a marker":
        with pytest.raises(ValueError, match=r"cut off|corrupt"):
            read_coefficients(data)
    theirs, ours = by_turbo(tmp_path / "a.jpg", data), read_coefficients(data, strict=False)
    assert len(theirs) == len(ours.components)
    assert all(map(equal, ours.components, theirs))
    if all(abs(plane).max() < 1024 for plane in ours.components):
        again = by_pillow(recode(data, strict=False), monkeypatch)
        assert np.array_equal(again, by_pillow(data, monkeypatch))
    else:
        with pytest.raises(ValueError, match="in baseline JPEG"):
            recode(data, strict=False)


def test_mutated_files(tmp_path):
    rng = np.random.default_rng(3)
    read = 0
    for n in range(120):
        data = mutated([PLAIN, RESTARTS, GRAY][n % 3], rng)
        theirs = by_turbo(tmp_path / "a.jpg", data)
        if theirs is None:
            with pytest.raises(ValueError, match="data"):
                read_coefficients(data, strict=False)
            continue
        assert all(map(equal, read_coefficients(data, strict=False).components, theirs)), n
        read += 1
    assert read > 60


def test_components_whose_scan_is_missing_are_zeros(tmp_path):
    """A file of one scan a component, of which the last is not there."""
    pieces = segments(jpeg(noise(size=(8, 8)), subsampling="4:4:4"))
    gray = segments(jpeg(noise("L", (8, 8))))
    scan = next(p.payload for p in gray if p.name == "scan")
    head = b"".join(
        b"\xff" + bytes([{"SOI": 0xD8, "DQT": 0xDB, "SOF0": 0xC0, "DHT": 0xC4}[p.name]])
        + (b"" if p.name == "SOI" else (len(p.payload) + 2).to_bytes(2, "big") + p.payload)
        for p in pieces
        if p.name in ("SOI", "DQT", "SOF0", "DHT")
    )  # fmt: skip
    data = head + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + scan + b"\xff\xd9"
    read = read_coefficients(data, strict=False)
    assert all(map(equal, read.components, by_turbo(tmp_path / "a.jpg", data)))
    assert [bool(plane.any()) for plane in read.components] == [True, False, False]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PLAIN[:200], "cut off inside the"),
        (changed(PLAIN, 0.5, b"\xff\x05\0\x02"), "it has the marker FF05"),
        (changed(PLAIN, 0.5, b"\xff\xff\0"), "fill bytes before a stuffed zero"),
        (jpeg(progressive=True), "progressive JPEG"),
        (PLAIN[: scan_of(PLAIN)[0] - 20], "cut off"),
        (b"\xff\xd8\xff\xd9", "no component"),
        (b"GIF89a", "must start with|does not start with"),
        (
            PLAIN.replace(b"\0\x11\x08\0\x46\0\x5a", b"\0\x11\x08\xff\xff\xff\xff"),
            "cannot hold 1",
        ),
    ],
)
def test_what_is_refused_all_the_same(data, message):
    with pytest.raises(ValueError, match=message) as refused:
        read_coefficients(data, strict=False)
    assert "\n" not in str(refused.value)


def test_a_header_of_many_restart_intervals_costs_nothing():
    """One MCU an interval, of as many as a file's bits allow, and none of them there."""
    pieces = segments(GRAY)
    head = GRAY[: next(p.offset for p in pieces if p.name == "SOS")]
    head = head.replace(b"\0\x0b\x08\0\x46\0\x5a", b"\0\x0b\x08\x0f\xff\x0f\xff")
    scan = b"\xff\xdd\0\x04\0\x01" + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + b"\xff\xd9"
    data = head + scan + bytes(40_000)
    read = read_coefficients(data, strict=False)
    assert read.components[0].shape == (512, 512, 8, 8)
    assert np.count_nonzero(read.components[0].reshape(-1, 64)[1:]) == 0
