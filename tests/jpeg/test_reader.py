"""What libjpeg-turbo reads without loss is read here too: jpeglib and Pillow are the judges."""

import io

import jpeglib
import numpy as np
import pytest
from PIL import Image

from helpers.jpeg_files import jpeg, noise
from softjpeg.codec.recode import recode
from softjpeg.jpeg.info import read_info
from softjpeg.jpeg.markers import bytes_by_marker, segments
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.kernels.library import pure_functions

WHOLE, GRAY = jpeg(noise()), jpeg(noise("L"))
WIDE = jpeg(noise(), qtables=[[400] * 64, [7] * 64])
EXTENDED = WHOLE.replace(b"\xff\xc0", b"\xff\xc1")


def edited(data, change):
    """A file of other pieces: `change` gives the bytes for a piece's name and bytes."""
    pieces = segments(data)
    return b"".join(
        change(piece.name, data[piece.offset : piece.offset + piece.length]) for piece in pieces
    )


def without_huffman_tables(data):
    """A frame of Motion JPEG."""
    return edited(data, lambda name, piece: b"" if name == "DHT" else piece)


def with_garbage(data):
    return edited(data, lambda name, piece: piece + b"\xff\0 junk \xff\xff\0" * (name == "DQT"))


def with_padding(data, count=1):
    return edited(data, lambda name, piece: piece + bytes(count) * (name == "scan"))


def with_spare_codes(data):
    """One more code of 16 bits in each table, for a symbol that has one already."""

    def longer(name, piece):
        if name != "DHT":
            return piece
        # FF C4, the length, one table: class and destination, 16 counts, the symbols.
        counts = bytearray(piece[5:21])
        counts[15] += 1
        body = piece[4:5] + bytes(counts) + piece[21:] + piece[21:22]
        return piece[:2] + (len(body) + 2).to_bytes(2, "big") + body

    return edited(data, longer)


SPARE = with_spare_codes(jpeg(noise(), optimize=True))


# The judges are given the file as it was: libjpeg 6b knows no Motion JPEG, and both refuse no EOI.
LOSSLESS = {
    "padding": (with_padding(WHOLE), WHOLE),
    "much padding": (with_padding(WHOLE, 7), WHOLE),
    "garbage": (with_garbage(WHOLE), WHOLE),
    "no EOI": (WHOLE[:-2], WHOLE),
    "half an EOI": (WHOLE[:-1], WHOLE),
    "Motion JPEG": (without_huffman_tables(WHOLE), WHOLE),
    "gray Motion JPEG": (without_huffman_tables(GRAY), GRAY),
    "16-bit tables": (WIDE, WIDE),
    "extended": (EXTENDED, EXTENDED),
    "two codes for one symbol": (SPARE, SPARE),
}


@pytest.mark.parametrize(("data", "original"), LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("compiled", [True, False])
def test_files_that_lose_nothing_are_read(tmp_path, data, original, compiled):
    path = tmp_path / "file.jpg"
    path.write_bytes(original)
    theirs = jpeglib.read_dct(str(path))
    if compiled:
        ours = read_coefficients(data)
    else:
        with pure_functions():
            ours = read_coefficients(data)
    planes = [plane for plane in (theirs.Y, theirs.Cb, theirs.Cr) if plane is not None]
    for index, (own, plane) in enumerate(zip(ours.components, planes, strict=True)):
        assert np.array_equal(own, plane)
        assert np.array_equal(ours.tables[index], theirs.get_component_qt(index))
    shown = [Image.open(io.BytesIO(each)) for each in (original, recode(data))]
    assert np.array_equal(*map(np.asarray, shown))
    assert sum(bytes_by_marker(data).values()) == len(data)


def test_garbage_has_a_name():
    assert bytes_by_marker(with_garbage(WHOLE))["extraneous"] == 2 * len(b"\xff\0 junk \xff\xff\0")
    assert read_info(with_garbage(WHOLE)).markers["extraneous"] == 22


def test_headers_are_enough_to_say_what_they_say():
    info = read_info(WHOLE[:-200])
    assert (info.size, info.subsampling, info.quality) == ((34, 50), "4:2:0", 75)


def test_huffman_tables_of_a_file_come_first():
    """Annex K's stand in only where there are none."""
    optimized = jpeg(noise(), optimize=True)
    with pytest.raises(ValueError, match=r"corrupt|cut off"):
        read_coefficients(without_huffman_tables(optimized))


@pytest.mark.parametrize("data", [5, None, [1, 2], np.zeros(4)])
def test_what_is_no_file(data):
    for function in (read_coefficients, recode, read_info):
        with pytest.raises(ValueError, match="data must be a file's bytes or its path, got"):
            function(data)


# T.81, table B.1: what each SOF marker but 0 and 1 begins.
KINDS = {0xC2: "progressive", 0xC3: "lossless"}
KINDS |= dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical")
KINDS |= dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic-coded")


@pytest.mark.parametrize(("marker", "kind"), KINDS.items())
def test_other_processes_are_refused_by_name(marker, kind):
    data = bytearray(WHOLE)
    data[data.index(b"\xff\xc0") + 1] = marker
    with pytest.raises(ValueError, match=kind):
        read_coefficients(bytes(data))
