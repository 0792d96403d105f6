import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from helpers.jpeg_files import jpeg
from softjpeg.jpeg.table_formats import (
    read_tables,
    to_c_header,
    to_cjpeg,
    to_imagemagick,
    to_pillow,
)


def test_pillow_writes_the_tables_unchanged():
    rng = np.random.default_rng(0)
    luma, chroma = rng.integers(1, 256, (2, 8, 8))
    found = read_tables(jpeg(qtables=to_pillow(luma, chroma)))
    assert np.array_equal(found[0], luma)
    assert np.array_equal(found[1], chroma)


def test_exports_hold_the_same_numbers_in_raster_order():
    rng = np.random.default_rng(1)
    luma, chroma = rng.integers(1, 256, (2, 8, 8))
    expected = [*luma.flatten(), *chroma.flatten()]
    text = re.sub(r"#.*", "", to_cjpeg(luma, chroma))
    assert [int(v) for v in text.split()] == expected
    root = ElementTree.fromstring(to_imagemagick(luma, chroma))
    levels = [node.text or "" for node in root.iter("levels")]
    assert [int(v) for v in ",".join(levels).split(",")] == expected
    header = to_c_header(luma, chroma)
    assert [int(v) for v in re.findall(r"\b\d+\b(?!\])", header)] == expected


def test_refused_files(tmp_path):
    png = tmp_path / "x.png"
    Image.new("RGB", (8, 8)).save(png)
    with pytest.raises(ValueError, match=r"x\.png is PNG, not JPEG"):
        read_tables(png)
    with pytest.raises(ValueError, match=r"nothing\.jpg cannot be read"):
        read_tables(tmp_path / "nothing.jpg")
