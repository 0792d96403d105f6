import os

import numpy as np
import pytest
from PIL import Image

from softjpeg.common.image_files import ImageFiles, read_image
from softjpeg.common.image_set import from_image
from softjpeg.common.image_warning import ImageWarning


def test_every_mode_becomes_rgb(tmp_path):
    file = tmp_path / "a.png"
    for mode in ("1", "L", "LA", "RGB", "RGBA", "P"):
        Image.new("RGB", (4, 4), "white").convert(mode).save(file)
        assert from_image(read_image(file)).unique().tolist() == [255], mode
    Image.fromarray(np.full((4, 4), 40000, dtype=np.uint16)).save(file)
    assert from_image(read_image(file)).unique().tolist() == [40000 >> 8]
    Image.new("P", (4, 4)).save(file, transparency=b"\x10")
    with pytest.warns(ImageWarning, match="composed on the background 255,255,255"):
        image = read_image(file)
    # Black with 16 of 255 parts on white.
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (239, 239, 239))
    Image.new("F", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif cannot be read .* 32-bit samples"):
        read_image(tmp_path / "a.tif")


def test_photos_that_jpeg_cannot_hold_are_named(tmp_path):
    Image.new("RGB", (65501, 1)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png is 65501x1: JPEG holds 65500 pixels a side"):
        ImageFiles([tmp_path / "a.png"])[0]


def test_a_photo_stays_what_it_was(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    photos = ImageFiles([tmp_path / "a.png", tmp_path / "b.png"], cache_bytes=1)
    assert photos[0].shape == photos[1].shape == photos[0].shape
    os.utime(tmp_path / "b.png", (1, 1))
    with pytest.raises(ValueError, match=r"b\.png was changed between two readings"):
        list(photos)


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path, tmp_path / "pipe.jpg"):
        with pytest.raises(ValueError, match=r"cannot be read as an image: it is no regular file"):
            read_image(path)
