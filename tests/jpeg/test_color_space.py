"""Which colours a file's components are: libjpeg through Pillow is the judge."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from helpers.jpeg_files import jpeg, noise
from softjpeg.codec.recode import recode
from softjpeg.jpeg.abbreviated import abbreviate, shared_tables
from softjpeg.jpeg.color_space import color_space
from softjpeg.jpeg.info import read_info
from softjpeg.jpeg.markers import APP0, APP14, build, segments
from softjpeg.jpeg.reader import read_coefficients

JFIF = build(APP0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
ADOBE = {
    number: build(APP14, b"Adobe" + bytes([0, 100, 0, 0, 0, 0, number])) for number in range(3)
}
ADOBE["short"] = build(APP14, b"Adobe\0d\0\0\0\0")


def with_headers(data, identifiers, *extra):
    """A file with other identifiers and, for its application segments, others."""
    result = bytearray(data)
    pieces = {piece.name: piece for piece in segments(data)}
    for index, identifier in enumerate(identifiers):
        result[pieces["SOF0"].offset + 10 + 3 * index] = identifier
        result[pieces["SOS"].offset + 5 + 2 * index] = identifier
    kept = [
        bytes(result[piece.offset : piece.offset + piece.length])
        for piece in segments(data)
        if not piece.name.startswith("APP")
    ]
    return b"".join([kept[0], *extra, *kept[1:]])


def pixels(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


FILES = [
    with_headers(jpeg(noise(mode), subsampling=0), identifiers[: len(mode)], *extra)
    for mode in ("RGB", "CMYK")
    for identifiers in ([1, 2, 3, 4], b"RGBA", [0, 1, 2, 3])
    for jfif, adobe in itertools.product((b"", JFIF), (b"", *ADOBE.values()))
    for extra in [(jfif, adobe), (adobe, jfif)][: 1 + bool(jfif and adobe)]
]


@pytest.mark.parametrize("header", ["jfif", "compact"])
def test_a_recoded_file_shows_the_same_colours(header):
    for data in FILES:
        again = recode(data, header=header)
        assert np.array_equal(pixels(again), pixels(data))
        spaces = [
            color_space([c for c in piece.payload[6::3]], segments(each))
            for each in (data, again)
            for piece in segments(each)
            if piece.name == "SOF0"
        ]
        assert spaces[0] == spaces[1]


def test_what_is_read_as_y_cb_cr_is_shown_as_that():
    """libjpeg changes the pixels of Y, Cb, Cr, and gives those of R, G, B as they are."""
    plain = with_headers(jpeg(noise(), subsampling=0), b"RGB")
    colours, read, refused = pixels(plain), 0, 0
    shown = pixels(with_headers(plain, [1, 2, 3]))
    assert not np.array_equal(colours, shown)
    for data in FILES:
        if len(pixels(data)[0, 0]) != 3:
            continue
        is_rgb = np.array_equal(pixels(data), colours)
        assert is_rgb or np.array_equal(pixels(data), shown)
        assert (read_info(data).components == ("R", "G", "B")) == is_rgb
        if not is_rgb:
            read_coefficients(data)
            read += 1
            continue
        with pytest.raises(ValueError, match="data holds R, G, B, not Y, Cb, Cr"):
            read_coefficients(data)
        refused += 1
    # Adobe's transform 0 without JFIF, and R, G, B without either.
    assert (read, refused) == (37, 3 + 2)


def test_components_of_four_are_named_as_libjpeg_takes_them():
    data = jpeg(noise("CMYK"))
    for adobe, names in ((b"", "CMYK"), (ADOBE[0], "CMYK"), (ADOBE[2], "Y Cb Cr K")):
        found = read_info(with_headers(data, [1, 2, 3, 4], adobe)).components
        assert found == tuple(names.split() if " " in names else names)


def test_streams_of_tables_take_no_other_colours():
    rgb = with_headers(jpeg(noise(), subsampling=0), [1, 2, 3], ADOBE[0])
    tables = shared_tables([jpeg(noise(), subsampling=0)])
    with pytest.raises(ValueError, match="data must be gray or hold Y, Cb, Cr, got a JPEG of RGB"):
        abbreviate(rgb, tables)
    with pytest.raises(ValueError, match=r"files\[0\]: data must be gray .* got a JPEG of RGB"):
        shared_tables([rgb])
    with pytest.raises(ValueError, match="got a JPEG of CMYK"):
        abbreviate(jpeg(noise("CMYK")), tables)
    wide = jpeg(noise(), qtables=[[300] * 64])
    with pytest.raises(ValueError, match="must be baseline, but has quantization tables of 16"):
        shared_tables([wide])
    with pytest.raises(ValueError, match="tables must end with EOI, got DHT"):
        abbreviate(jpeg(noise(), subsampling=0), tables[:-2])
