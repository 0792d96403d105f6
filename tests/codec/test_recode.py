"""Compact headers, `recode` and progressive scans: judged by Pillow and jpeglib."""

import io
import itertools
import sys
import warnings

import jpeglib
import numpy as np
import pytest
from PIL import Image

from helpers.images import smooth_image
from helpers.jpeg_files import jpeg
from softjpeg.codec.recode import recode
from softjpeg.jpeg.entropy.huffman import code_lengths, optimal_table
from softjpeg.jpeg.entropy.layout import scan_layout
from softjpeg.jpeg.entropy.table_sharing import smallest_sharing
from softjpeg.jpeg.frame import Frame
from softjpeg.jpeg.info import read_info
from softjpeg.jpeg.markers import bytes_by_marker, segments
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.writer import write_coefficients, write_frame

SIZES = [(1, 1), (7, 9), (32, 32), (45, 70)]
LAYOUTS = ["gray", "4:4:4", "4:2:2", "4:2:0"]


def default_file(size, layout, quality=30, **options):
    if layout == "gray":
        return jpeg(smooth_image(*size).convert("L"), quality=quality, optimize=True, **options)
    return jpeg(smooth_image(*size), quality=quality, optimize=True, subsampling=layout, **options)


def shown(data):
    with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
        warnings.simplefilter("error")
        return image.mode, np.asarray(image)


def libjpeg_coefficients(data, folder):
    path = folder / "file.jpg"
    path.write_bytes(data)
    image = jpeglib.read_dct(str(path))
    planes = [plane for plane in (image.Y, image.Cb, image.Cr, image.K) if plane is not None]
    return [*planes, *(image.get_component_qt(index) for index in range(len(planes)))]


def assert_same_image(ours, theirs, folder):
    assert shown(ours)[0] == shown(theirs)[0]
    assert np.array_equal(shown(ours)[1], shown(theirs)[1])
    pairs = zip(
        libjpeg_coefficients(ours, folder), libjpeg_coefficients(theirs, folder), strict=True
    )
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("progressive", [False, True])
def test_recoded_files_hold_the_same_image_in_fewer_bytes(tmp_path, layout, progressive):
    if progressive:
        pytest.importorskip("mozjpeg_lossless_optimization")
    for size, quality in itertools.product(SIZES, (5, 90)):
        theirs = default_file(size, layout, quality, restart_marker_blocks=1)
        ours = recode(theirs, progressive=progressive)
        assert len(ours) < len(theirs)
        assert "DRI" not in bytes_by_marker(ours)
        assert_same_image(ours, theirs, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_recoding_in_libjpegs_layout_gives_libjpegs_bytes(layout):
    for size in SIZES:
        theirs = default_file(size, layout)
        assert recode(theirs, header="jfif") == theirs
        assert recode(recode(theirs), header="jfif") == theirs
        plain = recode(theirs, header="jfif", optimize=False)
        other = {} if layout == "gray" else {"subsampling": layout}
        mode = "L" if layout == "gray" else "RGB"
        assert plain == jpeg(smooth_image(*size).convert(mode), quality=30, **other)


def test_a_compact_file_has_one_segment_of_each_kind_and_no_more_tables_than_it_uses():
    data = recode(default_file((45, 70), "4:2:0"))
    names = [piece.name for piece in segments(data)]
    assert names == ["SOI", "DQT", "SOF0", "DHT", "SOS", "scan", "EOI"]
    assert bytes_by_marker(data)["DQT"] == 4 + 2 * 65
    equal = recode(jpeg(smooth_image(32, 32), qtables=[[9] * 64] * 2))
    assert bytes_by_marker(equal)["DQT"] == 4 + 65


def symbol_counts(plane):
    """T.81 F.1.2 once more, symbol by symbol, for one component of a 4:4:4 image."""
    zigzag = sorted(
        range(64), key=lambda m: (m // 8 + m % 8, m // 8 if (m // 8 + m % 8) % 2 else m % 8)
    )
    dc, ac, before = np.zeros(256, int), np.zeros(256, int), 0
    for block in plane.reshape(-1, 64).astype(int):
        dc[abs(block[0] - before).item().bit_length()] += 1
        before, run = block[0], 0
        for value in block[zigzag[1:]].tolist():
            if value == 0:
                run += 1
                continue
            ac[0xF0] += run // 16
            ac[run % 16 << 4 | abs(value).bit_length()] += 1
            run = 0
        ac[0] += run > 0
    return dc, ac


@pytest.mark.parametrize("seed", range(8))
def test_sharing_is_the_best_of_all_ways(seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 12, 2)
    spread = np.exp(-np.arange(64) / rng.uniform(2, 20, (3, 1, 1, 1)))
    planes = [
        np.round(rng.laplace(size=(rows, columns, 64)) * 6 * own).reshape(rows, columns, 8, 8)
        for own in spread
    ]
    planes = [plane.astype(np.int16) for plane in planes]
    size = (int(rows) * 8, int(columns) * 8)
    data = write_coefficients(planes, np.full((2, 8, 8), 9), size=size, header="compact")
    counts = [symbol_counts(plane) for plane in planes]

    def cost(is_ac, way):
        bits = 0
        for number in set(way):
            joint = sum(c[is_ac] for c, own in zip(counts, way, strict=True) if own == number)
            table = optimal_table(joint)
            extra = np.arange(256) & 15
            bits += 8 * (17 + len(table.values)) + joint @ (code_lengths(table) + extra)
        return bits

    ways = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)]
    least = sum(min(cost(is_ac, way) for way in ways) for is_ac in range(2))
    scan = next(piece.payload for piece in segments(data) if piece.name == "scan")
    written = bytes_by_marker(data)["DHT"] - 4 + len(scan) - scan.count(b"\xff\0")
    assert written == -(-least // 8)


def test_two_small_components_share_and_large_ones_do_not():
    counts = np.zeros((3, 256), dtype=np.int64)
    counts[0, :4], counts[1:, 4:8] = [15, 3, 1, 1], [15, 3, 1, 1]
    assert smallest_sharing(counts).table_of == (0, 0, 0)
    assert smallest_sharing(counts * 100).table_of == (0, 1, 1)
    counts[1], counts[0] = counts[0].copy(), counts[2].copy()
    assert smallest_sharing(counts * 100).table_of == (0, 1, 0)


def cmyk_and_rgb_files():
    cmyk = smooth_image(20, 30).convert("CMYK")
    yield jpeg(cmyk)
    yield jpeg(smooth_image(20, 30), keep_rgb=True)
    # Without Adobe's marker the identifiers R, G, B alone say it.
    rgb = jpeg(smooth_image(20, 30), keep_rgb=True)
    adobe = next(piece for piece in segments(rgb) if piece.name == "APP14")
    yield rgb[: adobe.offset] + rgb[adobe.offset + adobe.length :]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("theirs", list(cmyk_and_rgb_files()), ids=["cmyk", "adobe", "ids"])
def test_other_colour_spaces_keep_their_colours(theirs, progressive):
    if progressive:
        pytest.importorskip("mozjpeg_lossless_optimization")
    for header in ("jfif", "compact"):
        ours = recode(theirs, header=header, progressive=progressive)
        assert shown(ours)[0] == shown(theirs)[0]
        assert np.array_equal(shown(ours)[1], shown(theirs)[1])
    assert len(ours) < len(theirs)


def with_identifiers(data, identifiers):
    result = bytearray(data)
    pieces = {piece.name: piece for piece in segments(data)}
    for index, identifier in enumerate(identifiers):
        result[pieces["SOF0"].offset + 10 + 3 * index] = identifier
        result[pieces["SOS"].offset + 5 + 2 * index] = identifier
    return bytes(result)


def test_a_jfif_file_is_not_rgb_whatever_its_identifiers():
    """Once APP0 is gone, R, G, B would be believed."""
    theirs = with_identifiers(default_file((20, 30), "4:2:0"), b"RGB")
    ours = recode(theirs)
    assert "APP0" not in bytes_by_marker(ours)
    assert np.array_equal(shown(ours)[1], shown(theirs)[1])
    assert read_info(theirs).components == ("Y", "Cb", "Cr")


@pytest.mark.parametrize("transform", [0, 1])
def test_adobes_transform_decides_before_the_identifiers(transform):
    """RGB with the identifiers of YCbCr, and YCbCr with those of RGB."""
    rgb = jpeg(smooth_image(20, 30), keep_rgb=True)
    theirs = with_identifiers(rgb, bytes([1, 2, 3]) if transform == 0 else b"RGB")
    at = theirs.index(b"Adobe") + 11
    assert theirs[at] == 0
    theirs = theirs[:at] + bytes([transform]) + theirs[at + 1 :]
    as_rgb, as_ycbcr = (np.asarray(smooth_image(20, 30)), shown(theirs)[1])
    assert (np.abs(as_rgb.astype(int) - as_ycbcr).mean() < 9) == (transform == 0)
    ours = recode(theirs)
    assert np.array_equal(shown(ours)[1], shown(theirs)[1])
    # Where it says what is usual, it goes.
    assert ("APP14" in bytes_by_marker(ours)) == (transform == 0)
    assert read_info(theirs).components == (("Y", "Cb", "Cr") if transform else ("R", "G", "B"))


@pytest.mark.parametrize("factors", [(0x42, 0x21, 0x11), (0x44, 0x11, 0x11), (0x42, 0x21, 0x21)])
def test_more_than_ten_blocks_per_mcu_are_not_written(factors):
    pairs = tuple((factor >> 4, factor & 15) for factor in factors)
    blocks = sum(h * v for h, v in pairs)
    assert 11 <= blocks <= 18
    shapes = scan_layout((40, 50), pairs).shapes
    planes = [np.zeros((*shape, 8, 8), np.int16) for shape in shapes]
    frame = Frame((40, 50), (1, 2, 3), pairs, tuple(planes), (np.full((8, 8), 20),) * 3)
    with pytest.raises(ValueError, match=f"make {blocks} blocks per MCU, .* at most 10"):
        write_frame(frame)


@pytest.mark.parametrize("factors", [(0x41, 0x11, 0x11), (0x12, 0x11, 0x11), (0x22, 0x21, 0x11)])
def test_unusual_subsamplings(tmp_path, factors):
    """4:1:1, 4:4:0 and one that has no name: read by libjpeg first, then recoded."""
    rng = np.random.default_rng(0)
    pairs = tuple((factor >> 4, factor & 15) for factor in factors)
    shapes = scan_layout((40, 50), pairs).shapes
    planes = [rng.integers(-3, 4, (*shape, 8, 8)).astype(np.int16) for shape in shapes]
    frame = Frame((40, 50), (1, 2, 3), pairs, tuple(planes), (np.full((8, 8), 20),) * 3)
    theirs = write_frame(frame)
    read = libjpeg_coefficients(theirs, tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(read[:3], planes, strict=True))
    ours = recode(theirs)
    assert len(ours) < len(theirs)
    assert_same_image(ours, theirs, tmp_path)


def test_metadata_that_change_how_the_picture_is_shown_are_kept():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker" * 100
    profile = b"\0" * 16 + b"RGB " + bytes(range(256)) * 300
    theirs = default_file((20, 30), "4:2:0", exif=exif, icc_profile=profile, comment=b"hello")
    for header in ("jfif", "compact"):
        ours = recode(theirs, header=header)
        assert b"hello" not in ours
        assert b"maker" not in ours
        with Image.open(io.BytesIO(ours)) as image:
            assert dict(image.getexif()) == {0x0112: 6}
            assert image.info["icc_profile"] == profile
    dropped = recode(theirs, metadata=False)
    assert dropped == recode(default_file((20, 30), "4:2:0"))


def test_a_profile_in_pieces_is_kept_and_one_that_lacks_a_piece_is_not():
    profile = b"\0" * 16 + b"RGB " + bytes(range(256)) * 800
    theirs = default_file((20, 30), "4:2:0", icc_profile=profile)
    pieces = [piece for piece in segments(theirs) if piece.name == "APP2"]
    assert len(pieces) == 4
    swapped = b"".join(theirs[p.offset : p.offset + p.length] for p in pieces[::-1])
    start, end = pieces[0].offset, pieces[-1].offset + pieces[-1].length
    with Image.open(io.BytesIO(recode(theirs[:start] + swapped + theirs[end:]))) as image:
        assert image.info["icc_profile"] == profile
    lacking = theirs[: pieces[1].offset] + theirs[pieces[2].offset :]
    assert recode(lacking) == recode(default_file((20, 30), "4:2:0"))


def test_progressive_only_where_smaller(tmp_path):
    pytest.importorskip("mozjpeg_lossless_optimization")
    small = recode(default_file((16, 16), "4:2:0"))
    assert recode(small, progressive=True) == small
    rng = np.random.default_rng(0)
    rough = np.asarray(smooth_image(256, 256)) * 0.7 + rng.normal(0, 25, (256, 256, 3))
    large = recode(jpeg(Image.fromarray(rough.clip(0, 255).astype(np.uint8)), quality=85))
    ours = recode(large, progressive=True)
    assert len(ours) < len(large)
    sizes = bytes_by_marker(ours)
    assert "SOF2" in sizes
    assert "APP0" not in sizes
    assert_same_image(ours, large, tmp_path)
    with pytest.raises(ValueError, match=r"progressive JPEG \(SOF2\); only sequential") as caught:
        read_coefficients(ours)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"progressive JPEG \(SOF2\); only sequential"):
        recode(ours)


def test_progressive_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mozjpeg_lossless_optimization", None)
    with pytest.raises(ImportError, match=r'run pip install "softjpeg\[progressive\]"'):
        recode(default_file((16, 16), "4:2:0"), progressive=True)


def test_recode_reads_paths(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(default_file((16, 16), "4:2:0"))
    assert recode(path) == recode(str(path)) == recode(path.read_bytes())


def test_refusals():
    data = default_file((16, 16), "4:2:0")
    with pytest.raises(ValueError, match="header must be one of jfif, compact, got 'small'"):
        recode(data, header="small")
    with pytest.raises(ValueError, match="must start with the JPEG marker"):
        recode(b"not a jpeg")


def test_tables_of_16_bits_are_written_as_libjpeg_writes_them(tmp_path):
    """`cjpeg -quality 5` makes such files."""
    for layout, mode in (("4:2:0", "RGB"), ("gray", "L")):
        tables = [[16 + 40 * k for k in range(64)], [300] * 64][: len(mode)]
        options = {} if mode == "L" else {"subsampling": layout}
        theirs = jpeg(smooth_image(40, 50).convert(mode), qtables=tables, optimize=True, **options)
        assert "SOF1" in bytes_by_marker(theirs)
        assert recode(theirs, header="jfif") == theirs
        assert_same_image(recode(theirs), theirs, tmp_path)
        read = read_coefficients(theirs)
        layouts = {"size": read.size, "subsampling": read.subsampling}
        assert write_coefficients(read.components, read.tables, **layouts) == theirs
