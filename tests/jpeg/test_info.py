import numpy as np
import pytest

from helpers.jpeg_files import DAMAGED, jpeg, noise
from softjpeg.jpeg.info import nearest_quality, read_info
from softjpeg.jpeg.tables import quality_tables


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("option", "subsampling"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0"), ("4:1:1", "4:2:0")]
)
def test_headers(progressive, option, subsampling):
    data = jpeg(quality=63, progressive=progressive, subsampling=option, restart_marker_blocks=5)
    info = read_info(data)
    assert info.process == ("progressive" if progressive else "baseline")
    assert (info.size, info.components) == ((34, 50), ("Y", "Cb", "Cr"))
    assert (info.subsampling, info.restart_interval) == (subsampling, 5)
    assert (info.quality, info.is_exact) == (63, True)
    luma, chroma = quality_tables(63)
    assert list(info.tables) == ["Y", "Cb Cr"]
    np.testing.assert_array_equal(info.tables["Y"], luma)
    np.testing.assert_array_equal(info.tables["Cb Cr"], chroma)
    assert sum(info.markers.values()) == info.length == len(data)
    assert 0 < info.scan_bytes < len(data)


@pytest.mark.parametrize(
    ("mode", "components", "subsampling"),
    [("L", "Y", "gray"), ("CMYK", "C M Y K", "1x1 1x1 1x1 1x1")],
)
def test_other_components(mode, components, subsampling):
    info = read_info(jpeg(noise(mode)))
    assert (" ".join(info.components), info.subsampling) == (components, subsampling)


def test_rgb_jpeg():
    assert read_info(jpeg(keep_rgb=True)).components == ("R", "G", "B")


def test_16_bit_table():
    data = jpeg(qtables=[[1000] * 64], subsampling=0)
    info = read_info(data)
    assert list(info.tables) == ["Y Cb Cr"]
    assert (info.tables["Y Cb Cr"] == 1000).all()


def test_restarts_off():
    assert read_info(jpeg()).restart_interval == 0


@pytest.mark.parametrize("quality", range(1, 101))
def test_every_quality_is_recognized(quality):
    luma, chroma = quality_tables(quality)
    assert nearest_quality(luma, chroma) == (quality, True)
    near = luma.copy()
    near[7, 7] += 1 if near[7, 7] < 255 else -1
    assert nearest_quality(near, chroma) == (quality, False)


@pytest.mark.parametrize(("data", "sentence"), DAMAGED)
def test_damaged_files(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_info(data)
