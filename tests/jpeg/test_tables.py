"""Tables against libjpeg's own, and every refusal."""

import numpy as np
import pytest

from helpers.jpeg_files import jpeg
from softjpeg.jpeg import tables
from softjpeg.jpeg.table_formats import read_tables, to_pillow


@pytest.mark.parametrize("quality", range(1, 101))
def test_quality_tables_are_libjpegs(quality):
    luma, chroma = tables.quality_tables(quality)
    found = read_tables(jpeg(quality=quality))
    assert np.array_equal(found[0], luma)
    # At quality 100 the two tables coincide and libjpeg still writes both.
    assert found[1] is not None
    assert np.array_equal(found[1], chroma)


def test_zigzag_is_the_order_of_the_file():
    table = np.arange(1, 65).reshape(8, 8)
    data = jpeg(qtables=to_pillow(table))
    start = data.index(b"\xff\xdb") + 5
    assert list(data[start : start + 64]) == table.reshape(64)[tables.ZIGZAG].tolist()
    assert np.array_equal(tables.from_zigzag(list(data[start : start + 64])), table)


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
