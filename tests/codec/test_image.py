"""`encode` and `decode`: real files, read back by Pillow and by our reader."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import jpeglib
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import references
from helpers.images import as_tensor, smooth_image
from helpers.jpeg_files import jpeg, noise
from softjpeg import Preset, decode, encode, read_coefficients
from softjpeg.codec.image import encode_coefficients
from softjpeg.codec.probabilistic import sample_indices
from softjpeg.codec.recode import recode
from softjpeg.functional.transform import image_to_coefficients
from softjpeg.jpeg.table_formats import read_tables


def custom(subsampling="4:2:0", hardness=30.0):
    rng = np.random.default_rng(1)
    luma, chroma = rng.integers(5, 60, (2, 8, 8))
    return Preset(luma, chroma, np.full((2, 8, 8), hardness), subsampling)


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_files_hold_the_presets_tables_and_subsampling(mode, subsampling):
    preset = custom(subsampling)
    data = encode(smooth_image(), preset, mode, seed=0)
    luma, chroma = read_tables(data)
    assert np.array_equal(luma, preset.luma)
    assert np.array_equal(chroma, preset.chroma)
    file = read_coefficients(data)
    assert file.subsampling == subsampling
    assert file.size == (45, 62)
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.size == (62, 45)
        difference = np.asarray(shown).astype(float) - np.asarray(smooth_image())
    assert np.abs(difference).mean() < 8


def test_very_sharp_sampling_is_hard_rounding():
    preset = custom(hardness=1e6)
    hard = read_coefficients(encode(smooth_image(), preset))
    sampled = read_coefficients(encode(smooth_image(), preset, "probabilistic", seed=0))
    for a, b in zip(hard.components, sampled.components, strict=True):
        # libjpeg's integer DCT tips a few ties the other way.
        assert (a != b).mean() < 0.01
        assert np.abs(a - b).max() <= 1


def test_samples_follow_the_cpmf():
    preset = custom(hardness=2.0)
    x = as_tensor(smooth_image(32, 32))
    z = image_to_coefficients(x / 255, "4:2:0", rounding=True)[0][2, 3].double().numpy()
    alpha = 2.0 / preset.luma**2
    draws = np.stack(
        [
            read_coefficients(encode(x, preset, "probabilistic", seed=s)).components[0][2, 3]
            for s in range(100)
        ]
    )
    indices = np.arange(-60, 61)[:, None, None]
    weights = np.exp(-alpha * (z - indices * preset.luma) ** 2)
    weights /= weights.sum(0)
    mean = (weights * indices).sum(0)
    deviation = np.sqrt((weights * indices**2).sum(0) - mean**2)
    assert (np.abs(draws.mean(0) - mean) <= 5 * deviation / 10 + 1e-3).all()


@pytest.mark.parametrize("sharp", [0, 1])
def test_each_component_is_drawn_with_its_own_hardness(sharp):
    """Sharp luma beside soft chroma, and the other way about: shares as eqs. 3-4 say."""
    hardness = np.full((2, 8, 8), 1.0)
    hardness[sharp] = 1e6
    preset = Preset(np.full((8, 8), 20), np.full((8, 8), 20), hardness, "4:4:4")
    # A quarter of a step up at every frequency.
    planes = [torch.full((40, 50, 8, 8), 5.0) for _ in range(3)]
    _, wanted = references.probabilities(np.array(5.0), np.array(20.0), np.array(1.0 / 400))
    shares = {0: wanted[150], 1: wanted[151], -1: wanted[149]}
    for component, drawn in enumerate(sample_indices(planes, preset, seed=0)):
        if min(component, 1) == sharp:
            assert not drawn.any()
            continue
        for index, share in shares.items():
            assert (drawn == index).double().mean().item() == pytest.approx(share, abs=0.005)


def test_a_seed_gives_the_same_bytes_and_another_others():
    preset = custom(hardness=5.0)
    first, again, other = (
        encode(smooth_image(), preset, "probabilistic", seed=s) for s in (7, 7, 8)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_image_types(mode):
    pixels = np.array(smooth_image())
    preset = custom()
    expected = encode(Image.fromarray(pixels), preset, mode, seed=1)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    assert encode(pixels, preset, mode, seed=1) == expected
    assert encode(tensor, preset, mode, seed=1) == expected
    assert encode(tensor.float() / 255, preset, mode, seed=1) == expected
    gray = encode(tensor[:1], preset, mode, seed=1)
    assert decode(gray).shape == (1, 45, 62)
    assert len(read_coefficients(gray).components) == 1


def test_decode_is_pillows():
    data = encode(smooth_image(), custom())
    with Image.open(io.BytesIO(data)) as shown:
        assert np.array_equal(decode(data).permute(1, 2, 0).numpy(), np.asarray(shown))


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (17, 3)])
def test_any_size(mode, size):
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        data = encode(smooth_image(*size), custom(subsampling), mode, seed=0)
        assert tuple(decode(data).shape) == (3, *size)


def test_optimized_huffman_is_smaller():
    preset = custom()
    for mode in ("hard", "probabilistic"):
        optimized, standard = (
            encode(smooth_image(), preset, mode, seed=0, optimize=o) for o in (True, False)
        )
        assert len(optimized) < len(standard)
        assert torch.equal(decode(optimized), decode(standard))


def test_files_of_more_than_two_bytes_a_pixel():
    """Pillow alone cannot optimize these: its buffer is too small."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 320, 3), dtype=np.uint8)
    preset = Preset(np.ones((8, 8)), np.ones((8, 8)), subsampling="4:4:4")
    data = encode(noise, preset)
    assert len(data) > 2 * 200 * 320
    assert np.abs(decode(data).permute(1, 2, 0).numpy().astype(int) - noise).max() <= 4
    assert len(data) < len(encode(noise, preset, optimize=False))


def test_sixteen_bit_gray_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    shown = decode(encode(Image.fromarray(ramp), custom()))[0].numpy()
    assert np.abs(shown - (ramp >> 8).astype(float)).mean() < 8


def test_refusals():
    preset = custom()
    with pytest.raises(
        ValueError, match="mode must be one of hard, probabilistic, rdo, got 'soft'"
    ):
        encode(smooth_image(), preset, "soft")
    with pytest.raises(ValueError, match=r"image must have shape .* got \(4, 8, 8\)"):
        encode(torch.zeros(4, 8, 8), preset)
    with pytest.raises(ValueError, match=r"image must be in \[0, 1\], got values from 0.0 to 255"):
        encode(torch.full((3, 8, 8), 255.0) * torch.eye(8), preset)
    with pytest.raises(ValueError, match="uint8 or float"):
        encode(np.zeros((8, 8, 3), dtype=np.int32), preset)
    with pytest.raises(ValueError, match="data cannot be decoded"):
        decode(b"not a jpeg")
    with pytest.raises(ValueError, match="image must be a Pillow image, tensor or array, got str"):
        encode("photo.png", preset)
    with pytest.raises(ValueError, match="image must be a Pillow image, tensor or array, got list"):
        encode([[0, 1], [1, 0]], preset)
    with pytest.raises(ValueError, match="image must hold its pixels, got a tensor on meta"):
        encode(torch.zeros(3, 8, 8, device="meta"), preset)
    with pytest.raises(ValueError, match=r"preset must be a Preset, or a function .*, got str"):
        encode(smooth_image(), "preset.json")
    with pytest.raises(ValueError, match="data must be a file's bytes or its path, got int"):
        decode(5)


def libjpeg_planes(data, folder):
    path = folder / "file.jpg"
    path.write_bytes(data)
    image = jpeglib.read_dct(str(path))
    return [plane for plane in (image.Y, image.Cb, image.Cr) if plane is not None]


def shrunk_to_a_mean(coefficients, preset):
    """A quantizer that keeps DC alone."""
    tables = [preset.luma, preset.chroma, preset.chroma]
    indices = [
        torch.round(z / torch.from_numpy(table)).int()
        for z, table in zip(coefficients, tables, strict=False)
    ]
    for plane in indices:
        plane.flatten(-2)[..., 1:] = 0
    return indices


@pytest.mark.parametrize("mode", ["hard", "probabilistic", shrunk_to_a_mean])
@pytest.mark.parametrize("options", [{"header": "compact"}, {"progressive": True}])
def test_options_leave_the_coefficients_as_they_are(tmp_path, mode, options):
    if "progressive" in options:
        pytest.importorskip("mozjpeg_lossless_optimization")
    for subsampling, gray in [("4:2:0", False), ("4:4:4", False), ("4:2:2", True)]:
        preset = custom(subsampling)
        plain = encode(smooth_image(), preset, mode, seed=0, gray=gray)
        data = encode(smooth_image(), preset, mode, seed=0, gray=gray, **options)
        assert len(data) < len(plain) or "progressive" in options
        planes = zip(libjpeg_planes(data, tmp_path), libjpeg_planes(plain, tmp_path), strict=True)
        assert all(np.array_equal(a, b) for a, b in planes)
        assert torch.equal(decode(data), decode(plain))


def test_a_function_decides_every_coefficient(tmp_path):
    data = encode(smooth_image(), custom(), shrunk_to_a_mean)
    hard = libjpeg_planes(encode(smooth_image(), custom()), tmp_path)
    for plane, other in zip(libjpeg_planes(data, tmp_path), hard, strict=True):
        assert not plane.reshape(-1, 64)[:, 1:].any()
        assert (plane[..., 0, 0] != other[..., 0, 0]).mean() < 0.05
    with pytest.raises(ValueError, match=r"coefficients\[0\] must hold integers, got float32"):
        encode(
            smooth_image(), custom(), lambda coefficients, preset: [c.numpy() for c in coefficients]
        )


def test_encode_coefficients_writes_a_presets_file(tmp_path):
    preset = custom("4:2:2")
    hard = encode(smooth_image(), preset)
    planes = libjpeg_planes(hard, tmp_path)
    assert encode_coefficients(planes, preset, size=(45, 62)) == hard
    tensors = [torch.from_numpy(plane) for plane in planes]
    compact = encode_coefficients(tensors, preset, size=(45, 62), header="compact")
    assert compact == encode(smooth_image(), preset, header="compact")
    gray = encode_coefficients(planes[:1], preset, size=(45, 62))
    assert np.array_equal(read_tables(gray)[0], preset.luma)
    assert np.array_equal(libjpeg_planes(gray, tmp_path)[0], planes[0])


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
@pytest.mark.parametrize("size", [(1, 1), (7, 9)])
def test_images_smaller_than_a_block(mode, size):
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        for gray in (False, True):
            data = encode(
                smooth_image(*size), custom(subsampling), mode, seed=0, header="compact", gray=gray
            )
            assert tuple(decode(data).shape) == (1 if gray else 3, *size)


@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_gray_is_the_luma_of_the_colour_file(mode):
    preset = custom("4:4:4", hardness=1e6)
    colour = read_coefficients(encode(smooth_image(), preset, mode, seed=0)).components[0]
    data = encode(smooth_image(), preset, mode, seed=0, gray=True)
    file = read_coefficients(data)
    assert len(file.components) == 1
    # Pillow and libjpeg round the same formula, but to a tie here and there.
    assert (file.components[0] != colour).mean() < 0.01
    assert encode(smooth_image().convert("L"), preset, mode, seed=0) == data


def with_metadata(mode="RGB", orientation=6, space=b"RGB "):
    image = smooth_image().convert(mode)
    image.getexif()[0x0112] = orientation
    image.getexif()[0x010F] = "maker"
    image.info["icc_profile"] = b"\0" * 16 + space + bytes(range(256)) * 600
    image.info["comment"] = b"a comment"
    return image


@pytest.mark.parametrize("header", ["jfif", "compact"])
@pytest.mark.parametrize("mode", ["hard", "probabilistic"])
def test_pillow_images_keep_their_orientation_and_profile(mode, header):
    image = with_metadata()
    data = encode(image, custom(), mode, seed=0, header=header)
    with Image.open(io.BytesIO(data)) as shown:
        assert dict(shown.getexif()) == {0x0112: 6}
        assert shown.info["icc_profile"] == image.info["icc_profile"]
        assert shown.size == image.size
        assert "comment" not in shown.info
    bare = encode(image, custom(), mode, seed=0, header=header, metadata=False)
    assert bare == encode(np.asarray(image), custom(), mode, seed=0, header=header)
    assert torch.equal(decode(bare), decode(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_kept(orientation):
    data = encode(with_metadata(orientation=orientation), custom())
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.getexif().get(0x0112, 1) == orientation
        assert ("exif" in shown.info) == (orientation != 1)


def test_metadata_that_no_longer_fit_are_dropped():
    plain = encode(smooth_image(), custom())
    assert encode(with_metadata(orientation=1, space=b"CMYK"), custom()) == plain
    assert encode(with_metadata(orientation=9, space=b"GRAY"), custom()) == plain
    gray = with_metadata(orientation=1)
    assert encode(gray, custom(), gray=True) == encode(np.asarray(gray.convert("L")), custom())
    broken = smooth_image()
    broken.info["exif"] = b"Exif\0\0garbage"
    assert encode(broken, custom()) == plain


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_every_pillow_mode(mode):
    unconvertible = mode in ("LAB", "PA")
    image = Image.new(mode, (20, 10)) if unconvertible else smooth_image(10, 20).convert(mode)
    data = encode(image, custom())
    expected = image.convert("L" if mode in ("1", "L", "LA") else "RGB")
    if mode == "PA":
        # A new one is transparent all over, and white shows through.
        expected = Image.new("RGB", image.size, "white")
    assert encode(np.asarray(expected), custom()) == data
    assert decode(data).shape == (len(expected.getbands()), 10, 20)


def test_a_palette_with_transparency():
    image = smooth_image(10, 20).convert("P")
    image.info["transparency"] = 0
    assert tuple(decode(encode(image, custom())).shape) == (3, 10, 20)


def test_sizes_that_no_file_can_have():
    for empty in (torch.zeros(3, 0, 8), np.zeros((8, 0, 3), np.uint8), np.zeros((0, 0))):
        with pytest.raises(ValueError, match="image must have at least one pixel, got shape"):
            encode(empty, custom())
    with pytest.raises(ValueError, match=r"from 1 to 65500 pixels high and wide, got 0 x 8"):
        encode(Image.new("RGB", (8, 0)), custom())
    for shape in ((65501, 1, 3), (65536, 1, 3)):
        with pytest.raises(ValueError, match=rf"65500 pixels high and wide, got {shape[0]} x 1"):
            encode(np.zeros(shape, np.uint8), custom())
    longest = encode(np.zeros((65500, 1, 3), np.uint8), custom(), header="compact")
    assert tuple(decode(longest).shape) == (3, 65500, 1)


def test_refused_options():
    with pytest.raises(ValueError, match="header must be one of jfif, compact, got 'small'"):
        encode(smooth_image(), custom(), header="small")
    for mode in ("I", "F"):
        with pytest.raises(ValueError, match=f'mode "{mode}": 32-bit samples have no known range'):
            encode(Image.new(mode, (8, 8)), custom())


@pytest.mark.parametrize("is_loaded", [True, False])
def test_threads_that_share_an_image_get_the_files_of_one_thread(tmp_path, request, is_loaded):
    """Pillow keeps the tables it saves with, and the pixels it loads, on the image."""
    interval = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(interval))
    sys.setswitchinterval(1e-6)
    smooth_image(64, 64).save(tmp_path / "image.png")
    presets = [Preset.from_quality(quality) for quality in (10, 40, 70, 95)]
    alone = [encode(smooth_image(64, 64), preset) for preset in presets]
    assert len(set(alone)) == 4
    with ThreadPoolExecutor(4) as pool:
        for _ in range(1 if is_loaded else 20):
            image = Image.open(tmp_path / "image.png")
            if is_loaded:
                image.load()
            count = 400 if is_loaded else 20
            jobs = [pool.submit(encode, image, presets[k % 4]) for k in range(count)]
            assert [job.result() for job in jobs] == [alone[k % 4] for k in range(count)]
            image.close()


def test_an_image_is_as_it_was_before_it_was_encoded():
    image = smooth_image()
    before = dict(vars(image))
    encode(image, custom())
    assert {name: value for name, value in vars(image).items() if name != "_exif"} == {
        name: value for name, value in before.items() if name != "_exif"
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_floats_of_any_width(dtype):
    image = torch.linspace(0, 1, 3 * 16 * 16, dtype=torch.float64).reshape(3, 16, 16).to(dtype)
    bytes_of_pixels = (image.double() * 255).round().byte()
    assert encode(image, custom()) == encode(bytes_of_pixels, custom())


@pytest.mark.parametrize("data", [b"", b"BM", b"\xff\xd8"])
def test_decode_says_what_no_image_is(data):
    with pytest.raises(ValueError, match=r"data cannot be decoded as an image: [^<]*$"):
        decode(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_decode_takes_no_memory_for_what_only_a_header_claims(progressive):
    data = jpeg(noise(size=(50, 34)), progressive=progressive)
    claims = data.replace(bytes([8, 0, 34, 0, 50]), bytes([8, 0x10, 0, 0x50, 0]))
    assert claims != data
    with pytest.raises(ValueError, match=rf": {len(data)} bytes cannot hold 20480x4096$"):
        decode(claims)


def test_decode_reads_paths(tmp_path):
    data = encode(smooth_image(), custom())
    (tmp_path / "a.jpg").write_bytes(data)
    assert torch.equal(decode(tmp_path / "a.jpg"), decode(data))
    assert torch.equal(decode(str(tmp_path / "a.jpg")), decode(data))


def test_files_that_pillow_refuses_in_other_ways(monkeypatch):
    """Too many pixels, and a file that is opened but cannot be loaded."""
    data = encode(smooth_image(), custom())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"data cannot be decoded as an image: .* exceeds limit"):
        decode(data)
    # Coefficients are no pixels.
    assert len(recode(data)) < len(data)
    monkeypatch.undo()
    with (
        Image.open(io.BytesIO(data[:-200])) as image,
        pytest.raises(ValueError, match="image cannot be loaded: image file is truncated"),
    ):
        encode(image, custom())


def test_metadata_never_refuse_pixels(tmp_path):
    plain = encode(smooth_image(), custom())
    large = smooth_image()
    large.info["icc_profile"] = bytes(16) + b"RGB " + bytes(255 * 65519)
    with pytest.warns(UserWarning, match="the ICC profile of 16707365 bytes is left out"):
        assert encode(large, custom()) == plain
    for profile in ("text", b"short", bytes(16) + b"RGB "):
        other = smooth_image()
        other.info["icc_profile"] = profile
        assert torch.equal(decode(encode(other, custom())), decode(plain))
    # An EXIF directory of one entry that is cut off.
    broken = smooth_image()
    broken.info["exif"] = b"Exif\0\0MM\0*\0\0\0\x08" + bytes.fromhex("0008000201120003")
    assert encode(broken, custom()) == plain


def test_sixteen_bit_pgm_is_scaled_not_refused(tmp_path):
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 64 64 65535\n" + ramp.tobytes())
    with Image.open(tmp_path / "a.pgm") as image:
        shown = decode(encode(image, custom()))[0].numpy()
    expected = decode(encode((ramp >> 8).astype(np.uint8), custom()))[0].numpy()
    assert np.array_equal(shown, expected)
