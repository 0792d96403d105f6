"""Tables against libjpeg's own, and every refusal."""

import io
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from softjpeg.jpeg import tables


def saved(**options):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 90)).save(buffer, "jpeg", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", range(1, 101))
def test_quality_tables_are_libjpegs(quality):
    luma, chroma = tables.quality_tables(quality)
    found = tables.read_tables(saved(quality=quality))
    assert np.array_equal(found[0], luma)
    # At quality 100 the two tables coincide and libjpeg still writes both.
    assert found[1] is not None
    assert np.array_equal(found[1], chroma)


def test_zigzag_is_the_order_of_the_file():
    table = np.arange(1, 65).reshape(8, 8)
    data = saved(qtables=tables.to_pillow(table))
    start = data.index(b"\xff\xdb") + 5
    assert list(data[start : start + 64]) == tables.to_zigzag(table)
    assert np.array_equal(tables.from_zigzag(tables.to_zigzag(table)), table)


def test_pillow_writes_the_tables_unchanged():
    rng = np.random.default_rng(0)
    luma, chroma = rng.integers(1, 256, (2, 8, 8))
    found = tables.read_tables(saved(qtables=tables.to_pillow(luma, chroma)))
    assert np.array_equal(found[0], luma)
    assert np.array_equal(found[1], chroma)


def test_exports_hold_the_same_numbers_in_raster_order():
    rng = np.random.default_rng(1)
    luma, chroma = rng.integers(1, 256, (2, 8, 8))
    expected = [*luma.flatten(), *chroma.flatten()]
    text = re.sub(r"#.*", "", tables.to_cjpeg(luma, chroma))
    assert [int(v) for v in text.split()] == expected
    root = ElementTree.fromstring(tables.to_imagemagick(luma, chroma))
    levels = [node.text or "" for node in root.iter("levels")]
    assert [int(v) for v in ",".join(levels).split(",")] == expected
    header = tables.to_c_header(luma, chroma)
    assert [int(v) for v in re.findall(r"\b\d+\b(?!\])", header)] == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((8, 7)), r"luma must have shape \(8, 8\), got \(8, 7\)"),
        (np.zeros((8, 8)), r"luma\[0\]\[0\] must be an integer from 1 to 255, got 0"),
        (np.full((8, 8), 256), "got 256"),
        (np.full((8, 8), 1.5), "got 1.5"),
        (np.full((8, 8), np.nan), "got nan"),
        (np.full((8, 8), True), r"luma\[0\]\[0\] must be an integer from 1 to 255, got"),
        ([[1] * 8] * 7 + [[1] * 7], "got ragged rows"),
    ],
)
def test_refused_tables(table, message):
    with pytest.raises(ValueError, match=message):
        tables.validate_table("luma", table)


@pytest.mark.parametrize("quality", [0, 101, 50.5])
def test_refused_quality(quality):
    with pytest.raises(
        ValueError, match=f"quality must be an integer from 1 to 100, got {quality}"
    ):
        tables.quality_tables(quality)


def test_refused_files(tmp_path):
    png = tmp_path / "x.png"
    Image.new("RGB", (8, 8)).save(png)
    with pytest.raises(ValueError, match=r"x\.png is PNG, not JPEG"):
        tables.read_tables(png)
    with pytest.raises(ValueError, match=r"nothing\.jpg cannot be read"):
        tables.read_tables(tmp_path / "nothing.jpg")
