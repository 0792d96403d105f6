"""Orientation and sample depth against Pillow's own reading, and where that gives up."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from helpers.images import smooth_image
from softjpeg.common.image_files import read_image
from softjpeg.common.image_samples import of_same_pixels, orientation, to_8_bits, upright


def exif_of(orientation_value, *, rational=None):
    """EXIF bytes of one or two entries."""
    exif = Image.Exif()
    exif[0x0112] = orientation_value
    data = exif.tobytes()
    assert data.startswith(b"Exif\0\0MM") or data.startswith(b"Exif\0\0II")
    return data


@pytest.mark.parametrize("value", range(1, 9))
def test_upright_is_pillows(value):
    buffer = io.BytesIO()
    smooth_image(10, 20).save(buffer, "png", exif=exif_of(value))
    with Image.open(buffer) as image:
        assert orientation(image) == value
        ours, theirs = upright(image), ImageOps.exif_transpose(image)
    assert np.array_equal(ours, theirs)
    # Written again, it is not turned twice.
    assert orientation(ours) == 1


BROKEN = {
    "cut off": bytes.fromhex("4d4d002a00000008 0002 0112 0003"),
    "no TIFF": bytes.fromhex("0008000201120003"),
    # Orientation 6, and a signed rational of -1/0.
    "a division by zero": bytes.fromhex(
        "4d4d002a00000008 0002 0112000300000001 00060000 920100 0a00000001 00000026 00000000"
        "ffffffff00000000".replace(" ", "")
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_exif_rejects_no_pixels(tmp_path, name):
    """In a PNG's own chunk, where Pillow reads it only when it is asked for."""
    plain = smooth_image(10, 20)
    plain.save(tmp_path / "a.png", exif=BROKEN[name])
    turned = np.asarray(plain.transpose(Image.Transpose.ROTATE_270))
    expected = turned if name == "a division by zero" else np.asarray(plain)
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(upright(image), expected)
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)


def test_a_16_bit_pgm(tmp_path):
    ramp = np.linspace(0, 65535, 64).reshape(8, 8).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + ramp.tobytes())
    with Image.open(tmp_path / "a.pgm") as image:
        assert np.array_equal(to_8_bits(image), ramp >> 8)
    assert np.array_equal(read_image(tmp_path / "a.pgm").convert("L"), ramp >> 8)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_have_no_known_range(mode):
    with pytest.raises(ValueError, match=f'image must not have mode "{mode}": 32-bit samples'):
        to_8_bits(Image.new(mode, (8, 8)))


def test_of_same_pixels_copies_only_what_lies_in_a_mapped_file(tmp_path):
    image = Image.new("RGB", (4, 4))
    other = of_same_pixels(image)
    other.encoderinfo = {"quality": 1}
    assert not hasattr(image, "encoderinfo")
    image.putpixel((0, 0), (1, 2, 3))
    assert other.getpixel((0, 0)) == (1, 2, 3)
    image.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        # Before it is read, Pillow takes any file for a mapped one.
        assert of_same_pixels(file).im is file.im
    image.convert("L").save(tmp_path / "a.pgm")
    with Image.open(tmp_path / "a.pgm") as file:
        file.load()
        # A mapped file that gets shorter would end the process that reads its pixels.
        assert file.readonly
        pixels, kept = file.tobytes(), of_same_pixels(file)
    assert not kept.readonly
    assert kept.tobytes() == pixels
