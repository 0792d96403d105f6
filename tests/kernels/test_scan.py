"""The compiled entropy coder against the NumPy functions that define it, and against jpeglib."""

import io

import jpeglib
import numpy as np
import pytest
from PIL import Image

from softjpeg.codec.recode import recode
from softjpeg.jpeg.entropy import decoding, huffman, limits, tokens
from softjpeg.jpeg.entropy import symbols as scan
from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, code_lengths, table_bytes
from softjpeg.jpeg.entropy.layout import scan_layout
from softjpeg.jpeg.entropy.table_sharing import smallest_sharing
from softjpeg.jpeg.markers import segments
from softjpeg.jpeg.reader import read_coefficients, read_frame
from softjpeg.jpeg.tables import ZIGZAG
from softjpeg.jpeg.writer import write_coefficients
from softjpeg.kernels.cpu import scan as kernel
from softjpeg.kernels.library import is_available

pytestmark = pytest.mark.skipif(not is_available("_coder"), reason="the C kernels were not built")

FACTORS = [
    [(1, 1)],
    [(2, 3)],
    [(1, 1)] * 3,
    [(2, 1), (1, 1), (1, 1)],
    [(2, 2), (1, 1), (1, 1)],
    [(1, 2), (1, 1), (1, 2)],
    [(1, 1), (2, 2)],
    [(2, 1), (1, 2), (1, 1), (2, 2)],
    [(4, 2), (1, 1), (1, 1)],
    [(3, 1), (1, 1), (2, 1), (1, 2)],
]


def dense(rng, shape, name):
    """Blocks of one kind: what a photo has, or what is at an end of the range."""
    blocks = rng.integers(-1023, 1024, (*shape, 64))
    if name == "photo":
        blocks = np.round(rng.laplace(size=(*shape, 64)) * 60 / (1 + np.arange(64)))
    elif name == "sparse":
        blocks *= rng.random(blocks.shape) < 0.03
    elif name == "zero":
        blocks[:] = 0
    elif name == "last":
        blocks[..., 1:63] = 0
    elif name == "ends":
        blocks = rng.choice([-1023, 1023], blocks.shape)
        blocks[..., 0] = rng.choice([-1024, 1023], shape)
    return blocks.astype(np.int16)


def cases():
    for seed, factors in enumerate(FACTORS * 3):
        rng = np.random.default_rng(seed)
        size = (1, 1) if seed < len(FACTORS) else tuple(rng.integers(1, 90, 2).tolist())
        layout = scan_layout(size, factors)
        for name in ("photo", "dense", "sparse", "zero", "last", "ends"):
            planes = [dense(rng, shape, name) for shape in layout.shapes]
            yield planes, layout, int(rng.choice([0, 0, 1, 3, 11])), rng


def tables_of(counts, optimize):
    """Per component its (DC, AC) table."""
    if optimize:
        return [tuple(huffman.optimal_table(own) for own in pair) for pair in counts]
    return [STANDARD_TABLES[:2], *[STANDARD_TABLES[2:]] * 3][: len(counts)]


def test_symbols_are_those_of_numpy():
    for planes, layout, interval, _ in cases():
        expected = tokens.numpy_tokens(planes, layout, interval)
        got = tokens.scan_tokens(planes, layout, interval)
        for ours, theirs in zip(got, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        uncounted = tokens.scan_tokens(planes, layout, interval, count=False)
        np.testing.assert_array_equal(uncounted.tokens, expected.tokens)
        assert not uncounted.counts.any()


def test_bytes_are_those_of_numpy_and_read_back():
    for planes, layout, interval, rng in cases():
        made = tokens.scan_tokens(planes, layout, interval)
        tables = tables_of(made.counts, bool(rng.integers(2)))
        data = tokens.write_tokens(made, tables)
        assert data == tokens.numpy_bytes(made, [table for pair in tables for table in pair])
        raw = [table_bytes(table) for pair in tables for table in pair]
        compiled = kernel.read_scan(data, kernel.layout_of(*layout, interval), raw)
        assert kernel.is_whole(data, kernel.layout_of(*layout, interval), raw)
        defined = decoding.numpy_decode(data, layout, tables, interval)
        for plane, *backs in zip(planes, compiled, defined, strict=True):
            for back in backs:
                np.testing.assert_array_equal(plane, back)


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("restart_interval", [0, 4])
def test_counts_of_a_batch_are_those_of_numpy(factors, restart_interval):
    rng = np.random.default_rng(len(factors))
    layout = scan_layout((50, 75), factors)
    planes = [dense(rng, (5, *shape), "photo") for shape in layout.shapes]
    expected = scan.numpy_counts(planes, layout, restart_interval)
    np.testing.assert_array_equal(scan.component_counts(planes, layout, restart_interval), expected)
    none = scan.component_counts([plane[:0] for plane in planes], layout, restart_interval)
    assert none.shape == scan.numpy_counts([p[:0] for p in planes], layout).shape
    assert none.shape == (0, len(factors), 2, 256)


def test_planes_that_are_neither_contiguous_nor_int16():
    rng = np.random.default_rng(0)
    layout = scan_layout((24, 40), [(1, 1)])
    wide = dense(rng, (3, 10), "photo")
    plane = wide[:, ::2].astype(np.int32)
    expected = tokens.numpy_tokens([plane], layout)
    np.testing.assert_array_equal(tokens.scan_tokens([plane], layout).tokens, expected.tokens)
    np.testing.assert_array_equal(scan.component_counts([plane[None]], layout)[0], expected.counts)


@pytest.mark.parametrize("shape", [(1, 64), (3, 5, 64), (2, 100, 7, 64)])
def test_extremes(shape):
    blocks = np.random.default_rng(1).integers(-1024, 1024, shape).astype(np.int16)
    dc, ac = blocks[..., 0], blocks[..., 1:]
    assert kernel.extremes(blocks) == (dc.min(), dc.max(), ac.min(), ac.max())
    blocks.reshape(-1, 64)[-1, [0, 1, 62, 63]] = -32768, 0, 32767, -32768
    assert kernel.extremes(blocks) == (-32768, dc.max(), -32768, 32767)


@pytest.mark.parametrize("place", range(64))
def test_extremes_anywhere(place):
    block = np.zeros((1, 64), dtype=np.int16)
    for value in (-7, 9):
        block[0, place] = value
        low, high = min(value, 0), max(value, 0)
        if place == 0:
            assert kernel.extremes(block) == (value, value, 0, 0)
        else:
            assert kernel.extremes(block) == (0, 0, low, high)


@pytest.mark.parametrize(("place", "value"), [(0, 2048), (0, -2048), (1, 1024), (63, -1024)])
@pytest.mark.parametrize("make", [tokens.scan_tokens, tokens.numpy_tokens])
def test_what_baseline_has_no_symbol_for_is_refused(place, value, make):
    layout = scan_layout((16, 8), [(1, 1)])
    plane = np.zeros((2, 1, 64), dtype=np.int16)
    plane[:, :, place] = np.sign(value) * (abs(value) - 1)
    make([plane], layout)
    plane[0, 0, place] = value
    with pytest.raises(ValueError, match="in baseline JPEG"):
        make([plane], layout)


def test_a_file_beyond_baseline_cannot_be_recoded():
    # Extended sequential files may hold an AC coefficient of 1024 and more.
    data = io.BytesIO()
    Image.new("L", (8, 8)).save(data, "jpeg")
    pieces = segments(data.getvalue())
    head = b"".join(
        data.getvalue()[piece.offset : piece.offset + piece.length]
        for piece in pieces
        if piece.name not in ("DHT", "scan", "EOI", "SOS")
    )
    tables = b"\xff\xc4\x00\x14\x00\x01" + bytes(15) + b"\x00"
    tables += b"\xff\xc4\x00\x15\x10\x00\x02" + bytes(14) + b"\x0b\x00"
    scan_header = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    # DC 0; size 11 with the value 1500; end of block.
    bits = "0" + "00" + f"{1500:011b}" + "01"
    scan_data = int(bits, 2).to_bytes(2, "big")
    file = head + tables + scan_header + scan_data + b"\xff\xd9"
    assert read_coefficients(file).components[0].reshape(64)[1] == 1500
    with pytest.raises(ValueError, match="from -1023 to 1023 for AC"):
        recode(file)


def random_counts(rng):
    counts = np.zeros(256, dtype=np.int64)
    used = rng.permutation(256)[: rng.integers(0, 257)]
    counts[used] = rng.integers(1, rng.choice([2, 3, 50, 10**6, 10**12]), len(used))
    if rng.random() < 0.3:  # Trees far deeper than 16 levels.
        counts[used] = (1.0 + 0.7 * rng.random()) ** np.arange(min(len(used), 256)) % 2**44
        counts[used] = np.maximum(counts[used], 1)
    return counts


def test_optimal_tables_are_those_of_python():
    rng = np.random.default_rng(0)
    rows = np.stack([random_counts(rng) for _ in range(300)])
    for counts, (raw, bits) in zip(rows, huffman.optimal_codes(rows), strict=True):
        table = huffman.table_of_bytes(raw)
        assert table == huffman.python_optimal_table(counts) == huffman.optimal_table(counts)
        assert bits == counts @ code_lengths(table)


@pytest.mark.parametrize("value", [-1, 1 << 50])
def test_counts_that_the_kernel_does_not_take(value):
    counts = np.zeros((1, 256), dtype=np.int64)
    counts[0, :3] = 5, 7, value
    assert kernel.optimal_tables(counts) is None
    if value > 0:
        raw, bits = huffman.optimal_codes(counts)[0]
        assert (raw[16:], bits) == (b"\2\1\0", value + 14 + 15)


@pytest.mark.parametrize("components", [1, 2, 3, 4])
def test_smallest_sharing_is_the_smallest(components):
    rng = np.random.default_rng(components)
    for _ in range(30):
        counts = np.stack([random_counts(rng) % 1000 for _ in range(components)])
        counts[:, rng.random(256) < 0.7] = 0

        def size(table_of, counts=counts):
            total = 0
            for number in range(max(table_of) + 1):
                own = counts[[c for c, table in enumerate(table_of) if table == number]].sum(0)
                table = huffman.python_optimal_table(own)
                total += 8 * (17 + len(table.values)) + own @ code_lengths(table)
            return total

        ways = [
            tuple(way >> c & 1 for c in range(components)) for way in range(0, 1 << components, 2)
        ]
        sharing = smallest_sharing(counts)
        assert size(sharing.table_of) == min(map(size, ways))
        for number, table in enumerate(sharing.tables):
            members = [c for c, own in enumerate(sharing.table_of) if own == number]
            assert table == huffman.python_optimal_table(counts[members].sum(0))


def numpy_alone(monkeypatch):
    monkeypatch.setenv("SOFTJPEG_KERNELS", "0")


@pytest.mark.parametrize("header", ["jfif", "compact"])
@pytest.mark.parametrize("optimize", [False, True])
def test_files_are_the_same_without_kernels(monkeypatch, header, optimize):
    rng = np.random.default_rng(3)
    layout = scan_layout((45, 83), [(2, 2), (1, 1), (1, 1)])
    planes = [dense(rng, shape, "photo").reshape(*shape, 8, 8) for shape in layout.shapes]
    options = {"size": (45, 83), "subsampling": "4:2:0", "optimize": optimize, "header": header}
    files = [write_coefficients(planes, np.full((2, 8, 8), 7), **options)]
    numpy_alone(monkeypatch)
    files.append(write_coefficients(planes, np.full((2, 8, 8), 7), **options))
    assert files[0] == files[1]
    for file in files:
        for plane, back in zip(planes, read_coefficients(file).components, strict=True):
            np.testing.assert_array_equal(plane, back)


@pytest.mark.parametrize("dtype", ["i2", "i4", "i8", "u2", ">i2"])
def test_any_integers_are_checked_alike(monkeypatch, dtype):
    plane = np.zeros((1, 2, 8, 8), dtype=dtype)
    plane[0, 1, 3, 3] = 1024
    layout = scan_layout((8, 16), [(1, 1)])
    messages = []
    for _ in range(2):
        with pytest.raises(ValueError, match=r"AC must be from -1023 .*got 1024"):
            limits.check_planes([plane], layout)
        ok = limits.check_planes([np.minimum(plane, 1023).astype(dtype)], layout)[0]
        messages.append(ok)
        numpy_alone(monkeypatch)
    np.testing.assert_array_equal(*messages)


def mutations(data, rng):
    """A file with bits flipped, bytes cut out, or markers and zeros put into its scan."""
    start = data.index(b"\xff\xda") + 14
    for _ in range(40):
        broken = bytearray(data)
        place = int(rng.integers(start, len(data) - 2))
        kind = rng.integers(4)
        if kind == 0:
            broken[int(rng.integers(20, len(data)))] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            broken[place] = int(rng.choice([0, 255, 0xD0, 0xD1, rng.integers(256)]))
        elif kind == 2:
            del broken[place : place + int(rng.integers(1, 9))]
        else:
            extra = rng.choice([0, 255, 255, 0xD0, 7], rng.integers(1, 5))
            broken[place:place] = extra.astype(np.uint8).tobytes()
        yield bytes(broken)


def outcome(data):
    try:
        return [plane.tobytes() for plane in read_frame(segments(data)).planes]
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("restart", [0, 2])
def test_broken_files_are_read_or_refused_as_by_numpy(monkeypatch, mode, restart):
    rng = np.random.default_rng(restart)
    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image = Image.fromarray(pixels).resize((56, 40), Image.Resampling.BICUBIC).convert(mode)
    file = io.BytesIO()
    image.save(file, "jpeg", quality=80, restart_marker_blocks=restart)
    broken = list(mutations(file.getvalue(), rng))
    compiled = [outcome(data) for data in broken]
    numpy_alone(monkeypatch)
    assert compiled == [outcome(data) for data in broken]
    assert any(isinstance(result, str) for result in compiled)
    assert any(isinstance(result, list) for result in compiled)


def test_the_kernel_alone_refuses_what_is_broken():
    """Without NumPy behind it: no table, too few bytes, markers that do not fit."""
    layout = scan_layout((16, 16), [(1, 1)])
    planes = [np.ones((2, 2, 64), dtype=np.int16)]
    made = tokens.scan_tokens(planes, layout)
    pair = tables_of(made.counts, True)[0]
    data = tokens.write_tokens(made, [pair])
    raw = [table_bytes(table) for table in pair]
    where = kernel.layout_of(*layout, 0)
    np.testing.assert_array_equal(kernel.read_scan(data, where, raw)[0], planes[0])
    assert kernel.read_scan(data[:-1], where, raw) is None
    assert kernel.read_scan(data + bytes(8), where, raw) is None
    assert kernel.read_scan(b"", where, raw) is None
    assert kernel.read_scan(data + b"\xff\xd0", where, raw) is None
    assert kernel.read_scan(data + b"\xff", where, raw) is None
    assert kernel.is_whole(data, where, raw)
    assert not kernel.is_whole(data[:-1], where, raw)
    assert not kernel.is_whole(b"", where, raw)
    assert not kernel.is_whole(data, where, raw[:1])
    assert kernel.read_scan(data, where, raw[:1]) is None
    assert kernel.read_scan(data, where, [raw[0][:-1], raw[1]]) is None
    assert kernel.read_scan(data, where, [b"\xff" * 300, raw[1]]) is None
    with pytest.raises(ValueError, match="must be Huffman tables"):
        kernel.pack_tokens(made.tokens, made.starts, [raw[0][:5], b""])


@pytest.mark.parametrize("kind", ["photo", "dense", "ends"])
@pytest.mark.parametrize("restart_interval", [0, 3])
def test_a_scan_is_whole_where_numpy_decodes_it(kind, restart_interval):
    """Each of 300 damaged scans: the two agree on it, and many are still whole."""
    rng = np.random.default_rng(restart_interval)
    layout = scan_layout((40, 56), [(2, 1), (1, 1), (1, 1)])
    planes = [dense(rng, shape, kind) for shape in layout.shapes]
    made = tokens.scan_tokens(planes, layout, restart_interval)
    tables = tables_of(made.counts, True)
    data = tokens.write_tokens(made, tables)
    raw = [table_bytes(table) for pair in tables for table in pair]
    where, whole = kernel.layout_of(*layout, restart_interval), 0
    # Neither marker nor stuffing comes or goes: of these files are cut up before.
    plain = [i for i in range(1, len(data)) if 255 not in data[i - 1 : i + 1]]
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.choice(plain)] = rng.integers(255)
        cut = bytes(damaged[: len(data) - rng.integers(3)]).rstrip(b"\xff")
        try:
            decoding.numpy_decode(cut, layout, tables, restart_interval)
            decoded = True
        except ValueError:
            decoded = False
        assert kernel.is_whole(cut, where, raw) == decoded
        assert (kernel.read_scan(cut, where, raw) is not None) == decoded
        whole += decoded
    assert 0 < whole < 300


@pytest.mark.parametrize(("run", "taken"), [(14, True), (15, False)])
def test_a_run_that_just_leaves_its_block(run, taken):
    dc, ac = STANDARD_TABLES[:2]
    words = [f"{huffman.codes(ac)[s]:0{code_lengths(ac)[s]}b}" for s in (0xF0, run << 4 | 1)]
    bits = f"{huffman.codes(dc)[0]:02b}" + 3 * words[0] + words[1] + "1"
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    where = kernel.layout_of(((1, 1),), ((1, 1),), (1, 1), 0)
    planes = kernel.read_scan(data, where, [table_bytes(dc), table_bytes(ac)])
    assert (planes is not None) == taken
    assert kernel.is_whole(data, where, [table_bytes(dc), table_bytes(ac)]) == taken
    if taken:
        assert np.flatnonzero(planes[0]).tolist() == [63]


def test_sixteen_bits_that_are_no_code():
    """The kernel alone: 00 for no difference, then ones, which no code of Annex K is."""
    dc, ac = map(table_bytes, STANDARD_TABLES[:2])
    where = kernel.layout_of(((1, 1),), ((1, 1),), (1, 1), 0)
    last = b"\x3f\xff\x00\xbf\xfa"  # The last code there is, run 15 and size 10, 1023 and EOB.
    assert kernel.read_scan(last, where, [dc, ac])[0].reshape(64)[ZIGZAG][16] == 1023
    for ones in (2, 3, 4, 8):
        assert kernel.read_scan(b"\x3f" + b"\xff\x00" * ones, where, [dc, ac]) is None
        assert kernel.read_scan(b"\xff\x00" * ones, where, [dc, ac]) is None
        assert not kernel.is_whole(b"\x3f" + b"\xff\x00" * ones, where, [dc, ac])


@pytest.mark.parametrize("optimize", [False, True])
def test_jpeglib_reads_what_the_kernel_wrote(tmp_path, optimize):
    path = tmp_path / "ours.jpg"
    for seed, size in enumerate([(1, 1), (9, 200), (130, 77)]):
        rng = np.random.default_rng(seed)
        layout = scan_layout(size, [(2, 2), (1, 1), (1, 1)])
        name = ("ends", "dense", "photo")[seed]
        planes = [dense(rng, shape, name).reshape(*shape, 8, 8) for shape in layout.shapes]
        path.write_bytes(
            write_coefficients(
                planes,
                np.full((2, 8, 8), 5),
                size=size,
                subsampling="4:2:0",
                optimize=optimize,
                restart_interval=seed,
                header="compact",
            )
        )
        image = jpeglib.read_dct(str(path))
        for ours, theirs in zip(planes, (image.Y, image.Cb, image.Cr), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_planes_that_are_not_those_of_the_layout_are_refused():
    layout = scan_layout((16, 8), [(1, 1)])
    plane = np.zeros((2, 1, 64), dtype=np.int16)
    fields = kernel.layout_of(*layout, 0)
    for other in (plane[:1], plane.astype(np.int32), np.zeros((2, 1, 128), np.int16)[..., ::2]):
        with pytest.raises(ValueError, match="planes must be contiguous int16"):
            kernel.make_tokens([other], fields)
    with pytest.raises(ValueError, match="planes must be contiguous int16"):
        scan.component_counts([plane], layout)


@pytest.mark.parametrize(("value", "places"), [(1024, "DC"), (-1025, "DC"), (1024, "AC")])
def test_kernel_names_values_beyond_the_range(value, places):
    planes = [np.zeros((1, 2, 8, 8), dtype=np.int16) for _ in range(3)]
    # No DC differs by too much from the one before it.
    planes[1].reshape(2, 64)[:, 0 if places == "DC" else 9] = value
    with pytest.raises(ValueError, match=rf"coefficients\[1\] {places} .*got {value}"):
        write_coefficients(planes, np.full((2, 8, 8), 9), size=(8, 16))
