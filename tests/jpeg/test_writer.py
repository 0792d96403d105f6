"""Files written and read here against Pillow's libjpeg-turbo and jpeglib."""

import contextlib
import io
import warnings

import jpeglib
import numpy as np
import pytest
from PIL import Image

from helpers.jpeg_files import jpeg
from softjpeg.jpeg.entropy.scan_bits import scan_bits, scan_bits_batch
from softjpeg.jpeg.markers import bytes_by_marker, scan_bytes, segments
from softjpeg.jpeg.reader import read_coefficients
from softjpeg.jpeg.subsampling import SUBSAMPLINGS
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.jpeg.writer import write_coefficients

LAYOUTS = ["gray", *SUBSAMPLINGS]


def ceil_div(a, b):
    return -(-a // b)


def block_shapes(size, layout):
    """T.81 A.1.1 and A.2.4, written down once more."""
    luma = tuple(ceil_div(side, 8) for side in size)
    if layout == "gray":
        return [luma]
    h, v = SUBSAMPLINGS[layout]
    chroma = (ceil_div(ceil_div(size[0], v), 8), ceil_div(ceil_div(size[1], h), 8))
    return [luma, chroma, chroma]


def random_plane(rng, shape):
    """Blocks from all-zero over sparse to dense, small and at the limits."""
    blocks = np.prod(shape)
    density = rng.choice([0.0, 0.02, 0.2, 1.0], (blocks, 1), p=[0.3, 0.3, 0.3, 0.1])
    scale = rng.choice([1, 10, 1023], (blocks, 1))
    plane = rng.integers(-scale, scale, (blocks, 64), endpoint=True)
    plane *= rng.random((blocks, 64)) < density
    plane[:, 0] = rng.integers(-1024, 1024, blocks) * (rng.random(blocks) < 0.8)
    if rng.random() < 0.2:
        plane[:, 0] = rng.choice([-1024, 1023], blocks)
        plane[:, 63] = rng.choice([-1023, 0, 1023], blocks)
    return plane.reshape(*shape, 8, 8).astype(rng.choice(["i2", "i4", "i8"]))


def random_case(seed):
    rng = np.random.default_rng(seed)
    size = tuple((1 + 129 * rng.random(2) ** 2).round().astype(int).tolist())
    layout = LAYOUTS[seed % 4]
    coefficients = [random_plane(rng, shape) for shape in block_shapes(size, layout)]
    tables = rng.integers(1, 256, (1 if layout == "gray" else rng.integers(2, 4), 8, 8))
    options = {
        "size": size,
        "subsampling": "4:4:4" if layout == "gray" else layout,
        "restart_interval": int(rng.choice([0, 1, 2, 7, 50])),
        "optimize": bool(rng.random() < 0.5),
    }
    return coefficients, tables, options


def per_component(tables, count):
    return [tables[min(index, len(tables) - 1)] for index in range(count)]


def same(ours, theirs):
    return len(ours) == len(theirs) and all(map(np.array_equal, ours, theirs))


def scan_of(data):
    return b"".join(piece.payload for piece in segments(data) if piece.name == "scan")


def check_bits(data, coefficients, options):
    scan = scan_of(data)
    intervals = 1 + sum(scan.count(bytes([0xFF, 0xD0 + n])) for n in range(8))
    sent = len(scan) - scan.count(b"\xff\x00") - 2 * (intervals - 1)
    bits = scan_bits(coefficients, **options)
    if intervals == 1:
        assert sent == ceil_div(bits, 8)
    assert 0 <= 8 * sent - bits <= 7 * intervals
    assert scan_bytes(data) == len(scan)


def jpeglib_coefficients(path):
    image = jpeglib.read_dct(str(path))
    planes = [image.Y] if image.Cb is None else [image.Y, image.Cb, image.Cr]
    return planes, [image.get_component_qt(index) for index in range(len(planes))]


def photo(size, mode="RGB", seed=0):
    """Noise with the spectrum of a photograph."""
    rng = np.random.default_rng(seed)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)) + 0.01
    noise = np.fft.fft2(rng.normal(size=(3, height, width))) / frequency**1.4
    pixels = np.fft.ifft2(noise).real
    pixels = 128 + 50 * (pixels - pixels.mean()) / (pixels.std() + 1e-9)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    return image.convert(mode)


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("first", range(0, 2000, 100))
def test_random_files_read_back_by_libjpeg_and_by_us(tmp_path, first):
    path = tmp_path / "ours.jpg"
    for seed in range(first, first + 100):
        coefficients, tables, options = random_case(seed)
        data = write_coefficients(coefficients, tables, **options)
        expected = per_component(tables, len(coefficients))
        path.write_bytes(data)

        planes, their_tables = jpeglib_coefficients(path)
        assert same(planes, coefficients), seed
        assert same(their_tables, expected), seed

        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("error")
            image.load()
            assert image.size == options["size"][::-1]
            written = [np.reshape(image.quantization[key], (8, 8)) for key in image.quantization]
            assert same(written, tables), seed

        ours = read_coefficients(data)
        assert same(ours.components, coefficients), seed
        assert same(ours.tables, expected), seed
        assert ours.size == options["size"]
        assert ours.subsampling == options["subsampling"]
        assert ours.restart_interval == options["restart_interval"]
        check_bits(data, coefficients, options)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("optimize", [False, True])
def test_libjpegs_coefficients_give_libjpegs_file(tmp_path, layout, optimize):
    rng = np.random.default_rng(5)
    path = tmp_path / "theirs.jpg"
    sizes = [(224, 224), (1, 1), (8, 9), (17, 33), *rng.integers(1, 100, (16, 2)).tolist()]
    for seed, size in enumerate(sizes):
        image = photo(size, "L" if layout == "gray" else "RGB", seed)
        subsampling = "4:4:4" if layout == "gray" else layout
        options = {"optimize": optimize, "subsampling": subsampling}
        restart = seed % 3
        theirs = jpeg(
            image, quality=[1, 30, 75, 95, 100][seed % 5], restart_marker_blocks=restart, **options
        )
        path.write_bytes(theirs)
        planes, tables = jpeglib_coefficients(path)
        options |= {"size": tuple(size), "restart_interval": restart}
        ours = write_coefficients(planes, tables[:2], **options)
        assert scan_of(ours) == scan_of(theirs)
        assert ours == theirs
        check_bits(ours, planes, options)
        assert same(read_coefficients(path).components, planes)


@pytest.mark.parametrize("size", [(40, 24), (33, 17)])
def test_planes_padded_to_whole_mcus_are_cropped(size):
    rng = np.random.default_rng(1)
    padded = [random_plane(rng, shape) for shape in [(6, 4), (3, 2), (3, 2)]]
    cropped = [
        plane[: shape[0], : shape[1]]
        for plane, shape in zip(padded, block_shapes(size, "4:2:0"), strict=True)
    ]
    files = [
        write_coefficients(planes, np.ones((2, 8, 8), int), size=size, subsampling="4:2:0")
        for planes in (padded, cropped)
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("restart_interval", [0, 3])
def test_batched_bits_equal_those_of_each_image(layout, optimize, restart_interval):
    rng = np.random.default_rng(2)
    size = (90, 140)
    planes = [
        np.stack([random_plane(rng, shape).astype(np.int16) for _ in range(9)])
        for shape in block_shapes(size, layout)
    ]
    options = {
        "size": size,
        "subsampling": "4:4:4" if layout == "gray" else layout,
        "optimize": optimize,
        "restart_interval": restart_interval,
    }
    each = [scan_bits([plane[i] for plane in planes], **options) for i in range(9)]
    assert scan_bits_batch(planes, **options).tolist() == each
    assert scan_bits_batch([plane[:0] for plane in planes], **options).tolist() == []


def test_torch_tensors_are_accepted():
    torch = pytest.importorskip("torch")
    plane = torch.arange(128).reshape(1, 2, 8, 8)
    table = torch.full((8, 8), 3)
    expected = write_coefficients([plane.numpy()], table.numpy(), size=(8, 16))
    assert write_coefficients([plane], table, size=(8, 16)) == expected
    assert write_coefficients([plane], [table], size=(8, 16)) == expected


def test_equal_chroma_tables_are_written_once():
    luma, chroma = np.full((8, 8), 3), np.full((8, 8), 5)
    planes = [np.zeros((1, 1, 8, 8), int)] * 3
    twice = write_coefficients(planes, (luma, chroma, chroma), size=(8, 8))
    assert twice == write_coefficients(planes, (luma, chroma), size=(8, 8))


def good_arguments():
    zeros = [np.zeros((2, 2, 8, 8), int), np.zeros((1, 1, 8, 8), int), np.zeros((1, 1, 8, 8), int)]
    ones = np.ones((2, 8, 8), int)
    return {"coefficients": zeros, "tables": ones, "size": (16, 16), "subsampling": "4:2:0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (0, 16)}, r"size must be .* from 1 to 65535, got \(0, 16\)"),
        ({"size": (16, 16, 3)}, r"size must be .* got \(16, 16, 3\)"),
        ({"size": (16, 65536)}, r"size must be .* got \(16, 65536\)"),
        (
            {"size": (16, 17)},
            r"coefficients\[0\] must have shape \(2, 3, 8, 8\).*got \(2, 2, 8, 8\)",
        ),
        ({"subsampling": "4:1:1"}, "subsampling must be one of .*4:2:0, got .4:1:1"),
        ({"subsampling": "4:4:4"}, r"coefficients\[1\] must have shape \(2, 2, 8, 8\)"),
        ({"restart_interval": -1}, "restart_interval must be from 0 to 65535, got -1"),
        ({"restart_interval": 65536}, "restart_interval .* got 65536"),
        ({"tables": np.ones((8, 8))}, "tables must hold 2 or 3 tables for colour, got 1"),
        ({"tables": np.zeros((2, 8, 8))}, r"tables\[0\]\[0\]\[0\] must .* got 0"),
        ({"tables": np.full((2, 8, 8), 65536)}, r"tables\[0\]\[0\]\[0\] must .* got 65536"),
        ({"coefficients": []}, "coefficients must have 1 or 3 components, got 0"),
        ({"coefficients": [np.zeros((2, 2, 64), int)]}, r"coefficients\[0\] must have shape"),
        (
            {"coefficients": [np.zeros((2, 2, 8, 8))]},
            r"coefficients\[0\] must hold integers.*float",
        ),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        write_coefficients(**(good_arguments() | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 1024, r"coefficients\[2\] DC must be from -1024 to 1023 .*got 1024"),
        (0, -1025, r"coefficients\[2\] DC .*got -1025"),
        (1, 1024, r"coefficients\[2\] AC must be from -1023 to 1023 .*got 1024"),
        (63, -1024, r"coefficients\[2\] AC .*got -1024"),
        (63, 1 << 40, r"coefficients\[2\] AC .*got 1099511627776"),
    ],
)
def test_coefficients_beyond_baseline_are_refused(place, value, message):
    arguments = good_arguments()
    arguments["coefficients"][2].reshape(64)[place] = value
    with pytest.raises(ValueError, match=message):
        write_coefficients(**arguments)
    del arguments["tables"]
    with pytest.raises(ValueError, match=message):
        scan_bits(**arguments)


def test_batches_must_agree():
    planes = [np.zeros((n, 1, 1, 8, 8), int) for n in (2, 3, 3)]
    with pytest.raises(ValueError, match=r"batch size .*\[2, 3, 3\]"):
        scan_bits_batch(planes, size=(8, 8))


def test_markers_tile_the_file():
    data = jpeg(photo((50, 70)), restart_marker_blocks=2, comment=b"hello") + b"rest"
    pieces = segments(data)
    names = "SOI APP0 COM DQT DQT SOF0 DHT DHT DHT DHT DRI SOS scan EOI trailer"
    assert [piece.name for piece in pieces] == names.split()
    ends = [piece.offset + piece.length for piece in pieces]
    assert [piece.offset for piece in pieces] == [0, *ends[:-1]]
    assert ends[-1] == len(data) == sum(bytes_by_marker(data).values())
    assert pieces[2].payload == b"hello"


def test_merged_tables_fill_bytes_and_unknown_segments_are_read():
    data = jpeg(photo((50, 70)), subsampling="4:2:2", restart_marker_blocks=2)
    pieces = {}
    for piece in segments(data):
        pieces.setdefault(piece.name, []).append(piece.payload)

    def segment(marker, payload):
        return b"\xff\xff\xff" + marker + (len(payload) + 2).to_bytes(2, "big") + payload

    merged = b"".join(
        [
            b"\xff\xd8",
            segment(b"\xef", b"\xff\xd9" * 9),
            segment(b"\xdb", b"".join(pieces["DQT"])),
            segment(b"\xc4", b"".join(pieces["DHT"])),
            segment(b"\xdd", pieces["DRI"][0]),
            segment(b"\xc1", pieces["SOF0"][0]),
            segment(b"\xda", pieces["SOS"][0]),
            pieces["scan"][0].replace(b"\xff\xd3", b"\xff\xff\xff\xd3"),
            b"\xff\xff\xd9 trailing",
        ]
    )
    assert np.array_equal(decoded(merged), decoded(data))
    assert same(read_coefficients(merged).components, read_coefficients(data).components)


@pytest.mark.parametrize("layout", SUBSAMPLINGS)
def test_scans_of_one_component_each_are_read(layout):
    size = (45, 61)
    data = jpeg(photo(size), subsampling=layout)
    whole = read_coefficients(data)
    pieces = [p for p in segments(data) if p.name not in ("SOS", "scan", "EOI", "DHT")]
    parts = [data[p.offset : p.offset + p.length] for p in pieces]
    for number, plane in enumerate(whole.components, 1):
        shape = (plane.shape[0] * 8, plane.shape[1] * 8)
        gray = write_coefficients([plane], np.ones((8, 8), int), size=shape, restart_interval=4)
        own = [p for p in segments(gray) if p.name in ("DHT", "DRI", "SOS", "scan")]
        for piece in own:
            part = bytearray(gray[piece.offset : piece.offset + piece.length])
            if piece.name == "SOS":
                part[5] = number
            parts.append(bytes(part))
    separate = b"".join([*parts, b"\xff\xd9"])
    assert np.array_equal(decoded(separate), decoded(data))
    read = read_coefficients(separate)
    assert same(read.components, whole.components)
    assert read.restart_interval == 4
    assert read.subsampling == layout
    assert scan_bytes(separate) == len(scan_of(separate))


def test_16_bit_tables_are_read():
    data = jpeg(photo((20, 20), "L"), qtables=[[300 + n for n in range(64)]])
    assert read_coefficients(data).tables[0].tolist() == np.arange(300, 364).reshape(8, 8).tolist()


def patched(data, name, changes):
    piece = next(piece for piece in segments(data) if piece.name == name)
    result = bytearray(data)
    for place, value in changes.items():
        result[piece.offset + place] = value
    return bytes(result)


GOOD = jpeg(photo((24, 40)), subsampling="4:2:0")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must start with the JPEG marker"),
        (b"\x89PNG\r\n", "must start with the JPEG marker FF D8, got '89 50'"),
        (b"\xff\xd8", "cut off"),
        (b"\xff\xd8\xff\xd9", r"cut off: it holds 0 component\(s\)"),
        (jpeg(photo((24, 40)), progressive=True), r"progressive JPEG \(SOF2\)"),
        (jpeg(photo((24, 40)).convert("CMYK")), "4 components"),
        (patched(GOOD, "SOF0", {1: 0xC9}), "arithmetic-coded"),
        (patched(GOOD, "SOF0", {1: 0xC3}), "lossless"),
        (patched(GOOD, "SOF0", {4: 12}), "12-bit"),
        (patched(GOOD, "SOF0", {11: 0x41}), "sampling factors"),
        (patched(GOOD, "SOF0", {5: 0, 6: 0}), "image size"),
        (patched(GOOD, "SOF0", {5: 255, 7: 255}), "cut off: .* cannot hold"),
        (patched(GOOD, "SOS", {5: 9}), "unknown component 9"),
        (patched(GOOD, "SOS", {7: 1}), "component 1 is sent twice"),
        (patched(GOOD, "SOS", {6: 0x33}), "DC Huffman table 3 is not defined"),
        (patched(GOOD, "DHT", {5: 9}), "more codes than fit|inside a table|starts with"),
        (patched(GOOD, "DQT", {3: 60}), "corrupt"),
        (GOOD.replace(scan_of(GOOD), scan_of(GOOD) + bytes(9)), "bits are left over"),
        (GOOD.replace(scan_of(GOOD), scan_of(GOOD) + b"\xff\xd0\0"), "1 restart markers, not 0"),
    ],
)
def test_unreadable_files_say_why(data, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_coefficients(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("blocks", "bits", "message"),
    [
        (1, "00" + "11111111001" * 4, "a run of zeros leaves its block"),
        (17, ("111111110" + "1" * 11 + "1010") * 17, "more than 16 bits"),
        (2, "00" + "1" * 64, "bits are left over|no Huffman code"),
    ],
)
def test_scans_that_no_encoder_sends(blocks, bits, message):
    data = jpeg(Image.new("L", (8 * blocks, 8)), optimize=False)
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    header = data[: data.index(b"\xff\xda") + 10]
    assert read_coefficients(header + scan_of(data) + b"\xff\xd9").size == (8, 8 * blocks)
    with pytest.raises(ValueError, match=message):
        read_coefficients(header + scan + b"\xff\xd9")


def test_a_code_that_the_table_lacks():
    # Both tables have the one code 0, and so the scan is 00 and six bits of padding.
    data = write_coefficients([np.zeros((1, 1, 8, 8), int)], np.ones((8, 8), int), size=(8, 8))
    assert data.endswith(b"\x3f\xff\xd9")
    with pytest.raises(ValueError, match="no Huffman code matches in block 0"):
        read_coefficients(data[:-3] + b"\x7f\xff\xd9")


def test_a_huffman_table_with_more_codes_than_there_are():
    """Three codes of one bit each; two of them, or one and two of two bits, fill the tree."""
    data = write_coefficients([np.zeros((1, 1, 8, 8), int)], np.ones((8, 8), int), size=(8, 8))
    for bits, full in (([3], False), ([2], True), ([1, 2], True), ([1, 3], False)):
        listed = bytes([*bits, *[0] * (16 - len(bits)), *range(sum(bits))])
        table = b"\xff\xc4" + (3 + len(listed)).to_bytes(2, "big") + b"\x11" + listed
        broken = data[:2] + table + data[2:]
        if full:
            assert read_coefficients(broken).size == (8, 8)
        else:
            with pytest.raises(ValueError, match="DHT has more codes than fit their lengths"):
                read_coefficients(broken)


@pytest.mark.parametrize("kernels", ["1", "0"])
def test_sixteen_bits_that_are_no_code(monkeypatch, kernels):
    """Annex K has codes of 16 bits, and the one of ones alone is free."""
    monkeypatch.setenv("SOFTJPEG_KERNELS", kernels)
    block = np.zeros((1, 1, 8, 8), int)
    data = write_coefficients([block], np.ones((8, 8), int), size=(8, 8), optimize=False)
    assert scan_of(data) == b"\x2b"  # 00 for no difference, 1010 for EOB, and padding.
    after = data.index(b"\x2b\xff\xd9")
    for ones in range(20):
        with pytest.raises(ValueError, match=r"is corrupt|is cut off"):
            read_coefficients(data[:after] + b"\x3f" + b"\xff\x00" * ones + b"\xff\xd9")
    # The last code there is: run 15, size 10.
    scan = b"\x3f\xff\x00\xbf\xfa"
    read = read_coefficients(data[:after] + scan + b"\xff\xd9")
    assert read.components[0].reshape(64)[ZIGZAG][16] == 1023


def test_restart_markers_out_of_order():
    data = jpeg(photo((24, 40)), restart_marker_blocks=1)
    with pytest.raises(ValueError, match="out of order"):
        read_coefficients(data.replace(b"\xff\xd1", b"\xff\xd2"))


def test_every_truncation_that_loses_data_is_refused():
    data = jpeg(photo((16, 16)), restart_marker_blocks=1)
    whole = read_coefficients(data).components
    # A byte more, or no EOI.
    for same_image in (data + b"\0", data[:-1], data[:-2]):
        assert same(whole, read_coefficients(same_image).components)
    for length in range(len(data) - 2):
        with pytest.raises(ValueError, match=r"cut off|must start with"):
            read_coefficients(data[:length])


def test_cutting_out_scan_data_is_noticed():
    for length in range(len(scan_of(GOOD))):
        with pytest.raises(ValueError, match=r"cut off|corrupt"):
            read_coefficients(GOOD.replace(scan_of(GOOD), scan_of(GOOD)[:length]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_flipped_bits_raise_nothing_but_value_errors(layout):
    image = photo((40, 56), "L" if layout == "gray" else "RGB")
    options = {} if layout == "gray" else {"subsampling": layout}
    data = jpeg(image, restart_marker_blocks=3, **options)
    rng = np.random.default_rng(3)
    survived = 0
    for _ in range(100):
        broken = bytearray(data)
        for place in rng.integers(2, len(data), rng.integers(1, 4)):
            broken[place] ^= 1 << rng.integers(8)
        with contextlib.suppress(ValueError):
            read_coefficients(bytes(broken))
            survived += 1
    assert survived < 80


def test_wide_tables_of_every_destination_are_pillows():
    """16 bits a step where one is above 255 (T.81 B.2.4.1)."""
    luma, chroma = np.full((8, 8), 9), np.full((8, 8), 300)
    chroma[0, 1] = 65535
    for tables in ((luma, chroma), (chroma, luma), (chroma, chroma + 1 - (chroma == 65535))):
        blocks = [np.zeros((1, 1, 8, 8), np.int16)] * 3
        data = write_coefficients(blocks, [tables[0], tables[1], tables[1]], size=(8, 8))
        with Image.open(io.BytesIO(data)) as image:
            found = image.quantization
        zigzag = [np.asarray(found[i]) for i in range(2)]
        pieces = [data[p.offset : p.offset + p.length] for p in segments(data) if p.name == "DQT"]
        for number, (table, values) in enumerate(zip(tables, zigzag, strict=True)):
            # Pq, the precision, and Tq, the destination: T.81, figure B.6.
            first = bytes([(table.max() > 255) * 16 + number])
            assert any(
                first + bytes(values.astype(">u2" if table.max() > 255 else "u1")) in p
                for p in pieces
            )
            assert sorted(values.tolist()) == sorted(table.reshape(-1).tolist())
            assert values[1] == table.reshape(-1)[1]
