"""Abbreviated streams against ordinary files, with Pillow, jpeglib and libtiff as judges."""

import io
import struct
import warnings

import jpeglib
import numpy as np
import pytest
from PIL import Image

from helpers.images import smooth_image
from helpers.shared_data import cifar
from softjpeg import Preset, encode
from softjpeg.codec.recode import recode
from softjpeg.jpeg.abbreviated import abbreviate, join, shared_tables
from softjpeg.jpeg.markers import bytes_by_marker, scan_bytes, segments
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.writer import write_coefficients


def files(count=8, layout="4:2:0", quality=50, **options):
    preset = Preset.from_quality(quality, "4:4:4" if layout == "gray" else layout)
    return [
        encode(smooth_image(32, 32, seed), preset, gray=layout == "gray", **options)
        for seed in range(count)
    ]


def names(data):
    return [piece.name for piece in segments(data)]


def pixels(data):
    with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
        warnings.simplefilter("error")
        return np.asarray(image)


def assert_same_image(ours, theirs, folder):
    assert np.array_equal(pixels(ours), pixels(theirs))
    read = []
    for data in (ours, theirs):
        (folder / "file.jpg").write_bytes(data)
        image = jpeglib.read_dct(str(folder / "file.jpg"))
        read.append([plane for plane in (image.Y, image.Cb, image.Cr) if plane is not None])
    assert all(np.array_equal(a, b) for a, b in zip(*read, strict=True))


@pytest.mark.parametrize("layout", ["gray", "4:4:4", "4:2:2", "4:2:0"])
def test_joined_files_hold_the_same_image(tmp_path, layout):
    originals = files(layout=layout)
    tables = shared_tables(originals)
    assert names(tables) == ["SOI", "DQT", "DHT", "EOI"]
    for data in originals:
        image = abbreviate(data, tables)
        assert names(image) == ["SOI", "SOF0", "SOS", "scan", "EOI"]
        assert len(image) == scan_bytes(image) + (27 if layout == "gray" else 37)
        assert_same_image(join(tables, image), data, tmp_path)
        assert recode(join(tables, image)) == recode(data)


def test_every_coefficient_that_baseline_allows_can_be_written(tmp_path):
    """Also into a corpus of flat images, and from outside it."""
    flat = write_coefficients([np.zeros((1, 1, 8, 8), int)] * 3, np.ones((2, 8, 8)), size=(8, 8))
    tables = shared_tables([flat])
    rng = np.random.default_rng(0)
    for scale in (1, 30, 1023):
        for density in (0.02, 0.2, 1.0):
            planes = rng.integers(-scale, scale, (3, 4, 5, 8, 8), endpoint=True)
            planes *= rng.random(planes.shape) < density
            data = write_coefficients(planes, np.ones((2, 8, 8)), size=(32, 40))
            joined = join(tables, abbreviate(data, tables))
            assert_same_image(joined, data, tmp_path)
            ours = read_coefficients(joined).components
            assert all(np.array_equal(a, b) for a, b in zip(ours, planes, strict=True))


def test_the_code_is_made_for_the_corpus():
    """No code of one image serves them all as well, and the corpus's own code costs little."""
    originals = files(30)
    tables = shared_tables(originals)
    total = sum(scan_bytes(abbreviate(data, tables)) for data in originals)
    for data in originals[:5]:
        alone = shared_tables([data])
        assert total < sum(scan_bytes(abbreviate(other, alone)) for other in originals)
    assert total < 1.1 * sum(map(scan_bytes, originals))


def test_an_image_of_another_preset_carries_its_own_tables(tmp_path):
    tables = shared_tables(files())
    stranger = files(1, quality=20)[0]
    image = abbreviate(stranger, tables)
    assert names(image) == ["SOI", "DQT", "SOF0", "SOS", "scan", "EOI"]
    # The stream's own tables are still there for the next image.
    own = {piece.payload[at] for piece in segments(image) if piece.name == "DQT" for at in (0, 65)}
    assert own == {2, 3}
    assert_same_image(join(tables, image), stranger, tmp_path)


def tiff(tables, image, size):
    """A TIFF file with one strip of JPEG and the tag JPEGTables (TIFF Technical Note 2)."""
    height, width = size
    bits_at = 8 + len(tables) + len(image)
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 7 << 16),
        (262, 3, 1, 6 << 16),
        (273, 4, 1, 8 + len(tables)),
        (277, 3, 1, 3 << 16),
        (278, 4, 1, height),
        (279, 4, 1, len(image)),
        (347, 7, len(tables), 8),
        (530, 3, 2, 2 << 16 | 2),
    ]
    directory = struct.pack(">H", len(entries))
    directory += b"".join(struct.pack(">HHII", *entry) for entry in entries) + bytes(4)
    header = struct.pack(">2sHI", b"MM", 42, bits_at + 6)
    return header + tables + image + struct.pack(">3H", 8, 8, 8) + directory


def test_libtiff_reads_tables_and_image_apart():
    """TIFF keeps JPEG in exactly these two streams: the tables in a tag, the image in a strip."""
    originals = files(4)
    tables = shared_tables(originals)
    for data in originals:
        image = abbreviate(data, tables)
        with Image.open(io.BytesIO(tiff(tables, image, (32, 32)))) as shown:
            assert shown.tag_v2[347] == tables
            assert np.array_equal(np.asarray(shown), pixels(data))


def test_photos(tmp_path):
    """A third of the bytes at a low rate: an ordinary file of 32² pixels is mostly tables."""
    images = cifar(40)
    originals = [encode(image, Preset.from_quality(30)) for image in images]
    tables = shared_tables(originals[:20])
    shortened = [abbreviate(data, tables) for data in originals[20:]]
    for image, data in zip(shortened, originals[20:], strict=True):
        assert_same_image(join(tables, image), data, tmp_path)
    assert sum(map(len, shortened)) < 0.5 * sum(map(len, originals[20:]))


def test_refusals():
    colour, gray = files(2), files(2, layout="gray")
    tables = shared_tables(colour)
    image = abbreviate(colour[0], tables)
    with pytest.raises(ValueError, match="files must hold at least one JPEG file, got none"):
        shared_tables([])
    with pytest.raises(ValueError, match=r"files\[1\]: data must start with the JPEG marker"):
        shared_tables([colour[0], b"not a jpeg"])
    with pytest.raises(ValueError, match=r"files\[2\] has other quantization tables than files\[0"):
        shared_tables([*colour, *files(1, quality=20)])
    with pytest.raises(ValueError, match=r"files\[2\] has 1 component\(s\) and files\[0\] 3"):
        shared_tables([*colour, *gray])
    with pytest.raises(ValueError, match="for gray images alone, and data is in colour"):
        abbreviate(colour[0], shared_tables(gray))
    with pytest.raises(ValueError, match="tables must be a stream of tables alone, but has SOF0"):
        join(image, image)
    with pytest.raises(ValueError, match=r"tables must be .* but has APP0"):
        abbreviate(colour[0], colour[1])
    with pytest.raises(ValueError, match="image holds no scan"):
        join(tables, tables)
    poor = recode(colour[0])
    poor = b"".join(
        poor[piece.offset : piece.offset + piece.length]
        for piece in segments(poor)
        if piece.name in ("SOI", "DQT", "DHT", "EOI")
    )
    assert bytes_by_marker(poor).keys() == {"SOI", "DQT", "DHT", "EOI"}
    rough = write_coefficients(
        np.full((3, 1, 1, 8, 8), 900), np.ones((2, 8, 8)), size=(8, 8), subsampling="4:4:4"
    )
    with pytest.raises(ValueError, match=r"tables have .*Huffman code"):
        abbreviate(rough, poor)
