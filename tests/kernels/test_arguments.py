"""Every C entry point with arguments that it cannot trust: refused before an address is taken."""

import numpy as np
import pytest
import torch

from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, optimal_table, table_bytes
from softjpeg.kernels.cpu import layer, sampling, scan, soft_histogram, transform, trellis
from softjpeg.kernels.library import is_available

pytestmark = pytest.mark.skipif(not is_available("_coder"), reason="the kernels are not built")

LAYOUT = scan.layout_of(((1, 1),), ((2, 2),), (2, 2), 0)
PLANE = np.zeros((2, 2, 64), np.int16)
RAW = [table_bytes(table) for table in STANDARD_TABLES[:2]]
TOKENS, STARTS, _ = scan.make_tokens([PLANE], LAYOUT)
FLOATS = np.ones((4, 64), np.float32)
ROW = np.ones(64, np.float32)
IMAGE = np.zeros((1, 3, 8, 8), np.float32)
PIXELS, TABLES = torch.zeros(1, 3, 8, 8), torch.ones(1, 2, 8, 8)

WRONG = {
    "layout: no component": lambda: scan.layout_of((), (), (1, 1), 0),
    "layout: five": lambda: scan.layout_of(((1, 1),) * 5, ((1, 1),) * 5, (1, 1), 0),
    "layout: factors": lambda: scan.layout_of(((5, 1),), ((1, 1),), (1, 1), 0),
    "layout: more rows than MCUs": lambda: scan.layout_of(((1, 1),), ((3, 2),), (2, 2), 0),
    "layout: shapes missing": lambda: scan.layout_of(((1, 1),) * 2, ((1, 1),), (1, 1), 0),
    "layout: no MCU": lambda: scan.layout_of(((1, 1),), ((0, 1),), (0, 1), 0),
    "layout: beyond 32 bits": lambda: scan.layout_of(((1, 1),), ((1, 1),), (2**33, 1), 0),
    "layout: restarts below 0": lambda: scan.layout_of(((1, 1),), ((1, 1),), (1, 1), -1),
    "extremes: no block": lambda: scan.extremes(PLANE[:0]),
    "extremes: half a block": lambda: scan.extremes(np.zeros(32, np.int16)),
    "extremes: dtype": lambda: scan.extremes(PLANE.astype(np.int32)),
    "extremes: byte order": lambda: scan.extremes(PLANE.astype(">i2")),
    "extremes: strides": lambda: scan.extremes(PLANE[:, ::2]),
    "extremes: a list": lambda: scan.extremes([0] * 64),
    "counts: shape": lambda: scan.count_symbols([PLANE], LAYOUT),
    "counts: no plane": lambda: scan.count_symbols([], LAYOUT),
    "counts: strides": lambda: scan.count_symbols(
        [np.zeros((1, 2, 4, 64), np.int16)[:, :, ::2]], LAYOUT
    ),
    "tokens: planes missing": lambda: scan.make_tokens([], LAYOUT),
    "tokens: planes too many": lambda: scan.make_tokens([PLANE, PLANE], LAYOUT),
    "tokens: dtype": lambda: scan.make_tokens([PLANE.astype(np.uint8)], LAYOUT),
    "pack: dtype": lambda: scan.pack_tokens(TOKENS.astype(np.int64), STARTS, RAW),
    "pack: strides": lambda: scan.pack_tokens(np.repeat(TOKENS, 2)[::2], STARTS, RAW),
    "pack: starts' dtype": lambda: scan.pack_tokens(TOKENS, STARTS.astype(np.int32), RAW),
    "pack: starts beyond": lambda: scan.pack_tokens(TOKENS, STARTS * 10**6, RAW),
    "pack: starts fall": lambda: scan.pack_tokens(TOKENS, np.array([0, 5, 2, len(TOKENS)]), RAW),
    "pack: starts below 0": lambda: scan.pack_tokens(TOKENS, np.array([-(10**6), 3]), RAW),
    "pack: no starts": lambda: scan.pack_tokens(TOKENS, STARTS[:0], RAW),
    "pack: ten tables": lambda: scan.pack_tokens(TOKENS, STARTS, RAW * 5),
    "pack: no tables": lambda: scan.pack_tokens(TOKENS, STARTS, []),
    "pack: a table cut off": lambda: scan.pack_tokens(TOKENS, STARTS, [RAW[0], RAW[1][:40]]),
    "read: not bytes": lambda: scan.read_scan(np.zeros(9), LAYOUT, RAW),
    "optimal: 255 counts": lambda: optimal_table(np.zeros(255, np.int64)),
    "optimal: 257 counts": lambda: optimal_table(np.zeros(257, np.int64)),
    "optimal: floats": lambda: optimal_table(np.full(256, 0.5)),
    "optimal: one axis": lambda: scan.optimal_tables(np.zeros(256, np.int64)),
    "trellis: z": lambda: trellis.decide_blocks(
        FLOATS[:, :63], ROW, FLOATS, None, np.ones((12, 63)), 0
    ),
    "trellis: costs": lambda: trellis.decide_blocks(
        FLOATS, ROW, FLOATS, None, np.ones((11, 63)), 0
    ),
    "trellis: weights": lambda: trellis.decide_blocks(
        FLOATS, ROW, FLOATS[:3], None, np.ones((12, 63)), 0
    ),
    "trellis: block weights": lambda: trellis.decide_blocks(
        FLOATS, ROW, FLOATS, np.ones(3), np.ones((12, 63)), 0
    ),
    "samples: z": lambda: sampling.sample_indices(FLOATS[:, :9], ROW, ROW, reach=1, seed=0),
    "samples: q": lambda: sampling.sample_indices(FLOATS, ROW[:9], ROW, reach=1, seed=0),
    "histogram: z": lambda: soft_histogram.soft_histogram(FLOATS[0], ROW, ROW, ROW, 9, 2, None),
    "histogram: bins": lambda: soft_histogram.soft_histogram(FLOATS, ROW, ROW, ROW, 4, 2, None),
    "histogram: half": lambda: soft_histogram.soft_histogram(FLOATS, ROW, ROW, ROW, 9, -1, None),
    "histogram: levels": lambda: soft_histogram.soft_histogram(FLOATS, ROW, ROW, ROW, 9, 2, 2**31),
    "histogram: NaN": lambda: soft_histogram.soft_histogram(
        FLOATS, ROW, ROW, ROW * np.nan, 9, 2, None
    ),
    "gradient: cost": lambda: soft_histogram.gradient(
        FLOATS, ROW, ROW, ROW, 2, None, ROW, ROW, of_z=True
    ),
    "gradient: rows": lambda: soft_histogram.gradient(
        FLOATS, ROW, ROW, ROW, 2, None, np.ones((63, 9)), ROW, of_z=True
    ),
    "gradient: scale": lambda: soft_histogram.gradient(
        FLOATS, ROW, ROW, ROW, 2, None, np.ones((64, 9)), ROW[:9], of_z=True
    ),
    "transform: channels": lambda: transform.image_to_coefficients(
        IMAGE[:, :2], (1, 1), rounding=True
    ),
    "transform: empty": lambda: transform.image_to_coefficients(
        IMAGE[..., :0], (1, 1), rounding=True
    ),
    "transform: dtype": lambda: transform.image_to_coefficients(
        IMAGE.astype(">f4"), (1, 1), rounding=True
    ),
    "coefficient gradients: channels": lambda: transform.coefficient_gradients(
        np.zeros((1, 5, 8, 8), np.float32), (1, 1)
    ),
    "coefficient gradients: empty": lambda: transform.coefficient_gradients(IMAGE[:0], (1, 1)),
    "coefficient gradients: factors": lambda: transform.coefficient_gradients(IMAGE, (3, 1)),
    "image gradient: size": lambda: transform.image_gradient(
        [np.zeros((1, 1, 1, 8, 8), np.float32)], (99, 8), (1, 1)
    ),
    "to image: none": lambda: transform.coefficients_to_image([], (8, 8), (1, 1), rounding=True),
    "to image: no batch": lambda: transform.coefficients_to_image(
        [np.zeros((0, 1, 1, 8, 8), np.float32)], (8, 8), (1, 1), rounding=True
    ),
    "layer: meta": lambda: layer.forward(
        PIXELS.to("meta"), TABLES.to("meta"), TABLES.to("meta"), "4:4:4"
    ),
    "layer: levels": lambda: layer.forward(PIXELS, TABLES, TABLES, "4:4:4", levels=2**33),
    "layer: window": lambda: layer.forward(PIXELS, TABLES, TABLES, "4:4:4", window=-3),
    "layer: kinds": lambda: layer.forward(PIXELS, TABLES[:, :1], TABLES[:, :1], "4:2:0"),
    "layer: channels": lambda: layer.forward(PIXELS[:, :2], TABLES, TABLES, "4:2:0"),
    "layer: gradient": lambda: layer.backward(PIXELS[..., :4], PIXELS, TABLES, TABLES, "4:2:0"),
    "layer: gradient's place": lambda: layer.backward(
        PIXELS.to("meta"), PIXELS, TABLES, TABLES, "4:2:0"
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_trusted_is_refused(name):
    with pytest.raises(ValueError, match=r"must|are no image"):
        WRONG[name]()


def test_numbers_at_odd_addresses_are_copied_or_refused():
    raw = np.zeros(PLANE.nbytes + 1, np.uint8)[1:].view(np.int16).reshape(PLANE.shape)
    with pytest.raises(ValueError, match="contiguous"):
        scan.extremes(raw)
    with pytest.raises(ValueError, match="contiguous"):
        scan.make_tokens([raw], LAYOUT)
    image = np.random.default_rng(0).random(IMAGE.shape, np.float32)
    odd = np.frombuffer(b"\0" + image.tobytes(), np.float32, offset=1).reshape(IMAGE.shape)
    for mine, theirs in zip(
        transform.image_to_coefficients(odd, (1, 1), rounding=True),
        transform.image_to_coefficients(image, (1, 1), rounding=True),
        strict=True,
    ):
        assert np.array_equal(mine, theirs)
    place = torch.frombuffer(bytearray(b"\0" + image.tobytes()), dtype=torch.float32, offset=1)
    assert layer.forward(place.reshape(image.shape), TABLES, TABLES, "4:2:0").equal(
        layer.forward(torch.from_numpy(image), TABLES, TABLES, "4:2:0")
    )
