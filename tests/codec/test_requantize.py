"""`requantize`: judged by jpeglib's coefficients, integers, and means of pixels in float64."""

import io
from dataclasses import replace

import jpeglib
import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn, idctn

from helpers.images import smooth_image
from helpers.jpeg_files import jpeg
from softjpeg import Ladder, Preset, requantize, write_coefficients
from softjpeg.codec.adaptive_quality import AdaptiveQuality
from softjpeg.codec.byte_limit import ByteLimit
from softjpeg.codec.requantize import read_dequantized, requantized

SIZES = [(1, 1), (17, 9), (40, 47), (45, 70)]
LAYOUTS = ["gray", "4:4:4", "4:2:2", "4:2:0"]
FACTORS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}


def source(size, layout, quality, **options):
    image = smooth_image(*size, 3)
    noisy = np.asarray(image) + np.random.default_rng(0).normal(0, 20, (*size, 3))
    image = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    if layout == "gray":
        return jpeg(image.convert("L"), quality=quality, **options)
    return jpeg(image, quality=quality, subsampling=layout, **options)


def libjpeg(data, folder):
    """Coefficients and tables of each component, as libjpeg reads them."""
    path = folder / "file.jpg"
    path.write_bytes(data)
    image = jpeglib.read_dct(str(path))
    planes = [plane for plane in (image.Y, image.Cb, image.Cr) if plane is not None]
    tables = [image.get_component_qt(index) for index in range(len(planes))]
    return [plane.astype(int) for plane in planes], [np.array(t).astype(int) for t in tables]


def rounded(values, step):
    """Integers divided by integers, halves away from zero."""
    return np.sign(values) * ((2 * abs(values) + step) // (2 * step))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("quality", "wanted"), [(95, 30), (30, 75), (10, 100), (60, 60)])
def test_coefficients_are_divided_by_the_new_steps(tmp_path, layout, quality, wanted):
    preset = Preset.from_quality(wanted, "4:4:4")
    for size in SIZES:
        data = source(size, layout, quality)
        planes, steps = libjpeg(data, tmp_path)
        made = requantize(data, preset)
        found, tables = libjpeg(made, tmp_path)
        assert len(found) == len(planes)
        for number, plane in enumerate(planes):
            table = preset.chroma if number else preset.luma
            assert np.array_equal(tables[number], table)
            assert np.array_equal(found[number], rounded(plane * steps[number], table))
        with Image.open(io.BytesIO(made)) as image:
            image.load()
            assert image.size == size[::-1]


def pixels_of(plane):
    """Chroma's samples, neither clipped nor rounded."""
    rows, columns = plane.shape[:2]
    blocks = idctn(plane.astype(float), axes=(2, 3), norm="ortho")
    return blocks.swapaxes(1, 2).reshape(8 * rows, 8 * columns)


def mean_blocks(pixels, across, down):
    """The coefficients of the pixels' means; beside the last block they go on in a mirror."""
    rows, columns = (-(-pixels.shape[axis] // (8 * n)) for axis, n in enumerate((down, across)))
    more = [(0, 8 * down * rows - pixels.shape[0]), (0, 8 * across * columns - pixels.shape[1])]
    pixels = np.pad(pixels, more, "symmetric")
    means = pixels.reshape(8 * rows, down, 8 * columns, across).mean((1, 3))
    return dctn(means.reshape(rows, 8, columns, 8).swapaxes(1, 2), axes=(2, 3), norm="ortho")


@pytest.mark.parametrize(
    ("layout", "wanted"), [("4:4:4", "4:2:0"), ("4:4:4", "4:2:2"), ("4:2:2", "4:2:0")]
)
def test_coarser_chroma_is_the_mean_of_the_pixels(tmp_path, layout, wanted):
    preset = Preset.from_quality(85, wanted)
    across, down = np.array(FACTORS[wanted]) // FACTORS[layout]
    for size in SIZES:
        data = source(size, layout, 95)
        planes, steps = libjpeg(data, tmp_path)
        found, _ = libjpeg(requantize(data, preset), tmp_path)
        assert np.array_equal(found[0], rounded(planes[0] * steps[0], preset.luma))
        for number in (1, 2):
            exact = mean_blocks(pixels_of(planes[number] * steps[number]), across, down)
            exact = exact[: found[number].shape[0], : found[number].shape[1]] / preset.chroma
            assert found[number].any() or size == (1, 1)
            # No further than half a step, but for the digits of 32-bit numbers.
            assert abs(found[number] - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(
    ("layout", "wanted"), [("4:2:0", "4:4:4"), ("4:2:0", "4:2:2"), ("4:2:2", "4:4:4")]
)
def test_chroma_is_never_enlarged(layout, wanted):
    data = source((45, 70), layout, 90)
    made = requantize(data, Preset.from_quality(40, wanted))
    assert made == requantize(data, Preset.from_quality(40, layout))


def test_every_half_is_rounded_away_from_zero():
    for step in range(1, 256):
        halves = np.arange(-1023, 1023) * step + step // 2
        values = (halves[:, None] + [-1, 0, 1, step % 2]).reshape(-1)
        values = np.resize(values, (-(-values.size // 64), 1, 8, 8))
        found = requantized(values.astype(np.float32), np.full((8, 8), step))
        wanted = rounded(values, step).clip(-1023, 1023)
        wanted[..., 0, 0] = rounded(values, step)[..., 0, 0].clip(-1024, 1023)
        assert np.array_equal(found, wanted)


def test_beyond_baseline_the_nearest_value_is_written(tmp_path):
    indices = np.zeros((1, 3, 8, 8), dtype=np.int16)
    indices[0, 0], indices[0, 1], indices[0, 2, 0, :2] = 1000, -1000, (-4, 4)
    data = write_coefficients([indices], np.full((8, 8), 255), size=(8, 24))
    ones = replace(Preset.from_quality(100), luma=np.ones((8, 8), dtype=int))
    (found,), _ = libjpeg(requantize(data, ones), tmp_path)
    assert (found[0, 0] == 1023).all()
    assert found[0, 1, 0, 0] == -1024
    assert (found[0, 1].reshape(-1)[1:] == -1023).all()
    assert found[0, 2, 0, :2].tolist() == [-1020, 1020]


def test_chroma_can_be_left_out(tmp_path):
    data, preset = source((45, 70), "4:2:0", 90), Preset.from_quality(40)
    gray, colour = requantize(data, preset, gray=True), requantize(data, preset)
    (luma,), _ = libjpeg(gray, tmp_path)
    assert np.array_equal(luma, libjpeg(colour, tmp_path)[0][0])


@pytest.mark.parametrize("options", [{"header": "compact"}, {"progressive": True}])
def test_other_layouts_hold_the_same_coefficients(tmp_path, options):
    if "progressive" in options:
        pytest.importorskip("mozjpeg_lossless_optimization")
    data, preset = source((90, 110), "4:4:4", 95), Preset.from_quality(70)
    plain, other = requantize(data, preset), requantize(data, preset, **options)
    assert len(other) < len(plain)
    pairs = zip(libjpeg(plain, tmp_path)[0], libjpeg(other, tmp_path)[0], strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def with_xmp(data):
    words = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="8"/>'
    return data[:2] + b"\xff\xe1" + (len(words) + 2).to_bytes(2, "big") + words + data[2:]


def test_what_tells_how_a_picture_is_shown_stays(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret"
    profile = b"\0" * 16 + b"RGB " + b"\0" * 200
    preset = Preset.from_quality(50)
    data = source((45, 70), "4:2:0", 90, exif=exif, icc_profile=profile)
    with Image.open(io.BytesIO(requantize(data, preset))) as image:
        assert image.size == (70, 45)
        assert dict(image.getexif()) == {0x0112: 6}
        assert image.info["icc_profile"] == profile
    # A profile of colours is none of a gray picture.
    with Image.open(io.BytesIO(requantize(data, preset, gray=True))) as image:
        assert "icc_profile" not in image.info
    turned = with_xmp(source((45, 70), "4:2:0", 90))
    with Image.open(io.BytesIO(requantize(turned, preset))) as image:
        assert image.getexif()[0x0112] == 8
    for shown in (data, turned):
        with pytest.raises(ValueError, match=r"^data is shown turned: without metadata"):
            requantize(shown, preset, metadata=False)
    plain = requantize(source((45, 70), "4:2:0", 90, icc_profile=profile), preset, metadata=False)
    assert b"ICC" not in plain


def twelve_bits():
    data = bytearray(source((8, 8), "gray", 90))
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (source((45, 70), "4:2:0", 90, progressive=True), "data is a progressive JPEG"),
        (jpeg(smooth_image(20, 30).convert("CMYK")), "data has 4 components"),
        (jpeg(smooth_image(20, 30), keep_rgb=True), "data holds R, G, B"),
        (twelve_bits(), "data is a 12-bit JPEG"),
        (source((45, 70), "4:2:0", 90)[:-200], "data is c"),
        (b"GIF89a", "data must start with the JPEG marker"),
        (b"", "data must start with the JPEG marker"),
    ],
    ids=["progressive", "cmyk", "rgb", "12-bit", "cut", "gif", "empty"],
)
def test_what_has_no_such_coefficients_is_refused(data, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        requantize(data, Preset.from_quality(50))


@pytest.mark.parametrize("stored", [{"short_side": 20}, {"center": 0.5}])
def test_presets_that_need_pixels_are_refused(stored):
    with pytest.raises(ValueError, match=r"^requantizing keeps every block where it is"):
        requantize(source((45, 70), "4:2:0", 90), replace(Preset.from_quality(50), **stored))


def test_a_path_and_a_function_of_the_picture_are_taken(tmp_path):
    data, path = source((45, 70), "4:4:4", 95), tmp_path / "a.jpg"
    path.write_bytes(data)
    rates = ((0, 0.1), (1, 1.0), (2, 8.0)), ((1, 0.1), (50, 1.0), (100, 8.0))
    ladder = Ladder((Preset.from_quality(50),), *rates, scan_bpp=rates[0], size_exponent=0.5)
    adaptive = AdaptiveQuality(ladder, 40)
    with Image.open(path) as image:
        assert requantize(path, adaptive) == requantize(data, adaptive(image))


def test_a_limit_of_bytes_chooses_the_highest_quality_that_fits():
    data = source((45, 70), "4:2:0", 95)
    sizes = [len(requantize(data, Preset.from_quality(q))) for q in range(1, 101)]
    most = sizes[54]
    found, quality = read_dequantized(data).encoded_choosing(
        ByteLimit(most, Preset.from_quality(50))
    )
    assert len(found) <= most < sizes[quality]
    assert found == requantize(data, Preset.from_quality(quality))
