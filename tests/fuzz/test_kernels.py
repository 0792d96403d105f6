"""C entry points with hostile arrays: refused in one sentence, or computed within their memory.

Whether that was so, only sanitizers see: `python -m fuzz.sanitized`.
"""

import collections
import inspect
import os

import numpy as np
import pytest
import torch

from softjpeg.jpeg.entropy.huffman import STANDARD_TABLES, table_bytes
from softjpeg.kernels.arguments import MAX_INDEX
from softjpeg.kernels.cpu import (
    layer,
    sampling,
    scan,
    scan_progressive,
    scan_stream,
    soft_histogram,
    transform,
    trellis,
)
from softjpeg.kernels.library import is_available

pytestmark = [
    pytest.mark.skipif(not is_available("_coder"), reason="the kernels are not built"),
    pytest.mark.filterwarnings("ignore:.*(invalid value|overflow|divide by zero|not writable)"),
]

COUNT = int(os.environ.get("SOFTJPEG_FUZZ", "400"))
SEED = int(os.environ.get("SOFTJPEG_FUZZ_SEED", "0"))
TABLES = [table_bytes(table) for table in STANDARD_TABLES]
FACTORS = [(1, 1), (2, 1), (2, 2)]


def blocks(rng, count):
    """Coefficients, steps and sharpness of some blocks."""
    z = (rng.standard_normal((count, 64)) * 10.0 ** rng.integers(-2, 5)).astype(np.float32)
    q, alpha = (10 ** rng.uniform(-2, 2, (2, 64))).astype(np.float32)
    return z, q, alpha


def scan_case(rng):
    """Planes, their layout, and tokens of values within baseline or beyond."""
    mcus = tuple(map(int, rng.integers(1, 5, 2)))
    factors = [((1, 1),), ((2, 2), (1, 1), (1, 1)), ((4, 1), (1, 2)), ((1, 1),) * 4]
    chosen = factors[int(rng.integers(len(factors)))]
    shapes = tuple(
        (mcus[0] * v - int(rng.integers(v)), mcus[1] * h - int(rng.integers(h))) for h, v in chosen
    )
    made = scan.layout_of(chosen, shapes, mcus, int(rng.integers(4)))
    high = int(rng.choice([2, 40, 1024, 32768]))
    planes = [rng.integers(-high, high, (*shape, 64)).astype(np.int16) for shape in made.shapes]
    tables = (TABLES * 2)[: 2 * len(chosen)]
    return made, planes, tables


def tokens_case(rng):
    made, planes, tables = scan_case(rng)
    tokens, starts, _ = scan.make_tokens([plane % 900 for plane in planes], made)
    return tokens, starts, tables


def read_case(rng):
    tokens, starts, tables = tokens_case(rng)
    made, _, tables = scan_case(rng)
    data = bytearray(scan.pack_tokens(tokens, starts, (TABLES * 2)[:8]))
    for at in rng.integers(len(data), size=rng.integers(3)):
        data[at] = int(rng.integers(256))
    return bytes(data[: rng.integers(len(data)) + 1]), made, tables


def progressive_case(rng):
    data, made, tables = read_case(rng)
    first = int(rng.integers(64))
    if len(made.shapes) == made.blocks // made.mcus == 1 and first:
        known = rng.integers(2**63, size=made.shapes[0], dtype=np.uint64)
    else:
        first, known = 0, None
    band = first, int(rng.integers(first, 64)) if first else 0
    return data, made, tables[: len(made.shapes)], band, bool(rng.integers(2)), known


def layout_case(rng):
    sides = [int(x) for x in rng.integers(0, 6, 16)]
    count = int(rng.integers(1, 6))
    pairs = tuple(zip(sides[::2], sides[1::2], strict=True))
    return pairs[:count], pairs[-count:], pairs[0], sides[3]


def image_case(rng):
    batch, channels, *size = 1 + rng.integers(2), rng.choice([1, 3]), *rng.integers(1, 50, 2)
    image = rng.random((batch, channels, *size), dtype=np.float32)
    return image, FACTORS[int(rng.integers(3))]


def coefficients_case(rng):
    image, factors = image_case(rng)
    shapes = transform.coefficient_shapes(image.shape, factors)
    planes = [(rng.standard_normal(shape) * 99).astype(np.float32) for shape in shapes]
    return planes, tuple(map(int, image.shape[2:])), factors


def histogram_case(rng):
    z, q, alpha = blocks(rng, int(rng.integers(0, 40)))
    half = int(rng.integers(0, 12))
    lowest = rng.integers(-50, 1, 64).astype(np.float32)
    return z, q, alpha, lowest, 2 * half + int(rng.integers(1, 90)), half, int(rng.integers(0, 30))


def cost_case(rng):
    *arrays, bins, half, levels = histogram_case(rng)
    cost, scale = rng.random((64, bins), np.float32), rng.random(64, np.float32)
    return *arrays, half, levels, cost, scale


def layer_case(rng):
    image = torch.from_numpy(image_case(rng)[0])
    if rng.random() < 0.5:
        image = image.movedim(1, -1).contiguous().movedim(-1, 1)
    layouts = ["gray", "planes"] if image.shape[1] == 1 else ["4:4:4", "4:2:2", "4:2:0", "planes"]
    layout = str(rng.choice(layouts))
    kinds = {"gray": 1, "planes": int(rng.choice([1, image.shape[1]]))}.get(layout, 2)
    tables = 10 ** rng.uniform(-2, 2, (2, int(rng.integers(1, 3)), kinds, 8, 8))
    steps, alphas = torch.from_numpy(tables).float()
    levels, window = (int(rng.choice([0, 1, 5, 50])) or None for _ in range(2))
    return image, steps, alphas, layout, bool(rng.integers(2)), levels, window


def draw_case(rng):
    return *blocks(rng, 5), int(rng.integers(1, 20)), int(rng.integers(2**63))


def trellis_case(rng):
    z, q, _ = blocks(rng, 5)
    return z, q, rng.random((5, 64)), rng.random(5), rng.random((12, 63)) * 20, 4.0


def count_case(rng):
    made, planes, _ = scan_case(rng)
    return [np.stack([plane, plane[::-1]]) for plane in planes], made


def gradient_case(rng):
    image, *others = layer_case(rng)
    return 2 * image, image, *others


ENTRIES = {
    scan.layout_of: (layout_case, {}),
    scan.extremes: (lambda rng: [scan_case(rng)[1][0]], {}),
    scan.count_symbols: (count_case, {}),
    scan.make_tokens: (lambda rng: scan_case(rng)[1::-1], {}),
    scan.pack_tokens: (tokens_case, {}),
    scan.read_scan: (read_case, {}),
    scan.is_whole: (read_case, {}),
    scan_stream.split_stream: (lambda rng: read_case(rng)[:2], {}),
    scan_progressive.is_whole: (progressive_case, {}),
    scan.optimal_tables: (lambda rng: [rng.integers(0, 2 ** rng.integers(1, 50), (3, 256))], {}),
    trellis.decide_blocks: (trellis_case, {}),
    sampling.sample_indices: (draw_case, {"reach": 3, "seed": 4}),
    soft_histogram.soft_histogram: (histogram_case, {}),
    soft_histogram.gradient: (cost_case, {"of_z": True}),
    transform.image_to_coefficients: (image_case, {"rounding": True}),
    transform.coefficient_gradients: (image_case, {}),
    transform.image_gradient: (coefficients_case, {}),
    transform.coefficients_to_image: (coefficients_case, {"rounding": True}),
    layer.forward: (layer_case, {}),
    layer.backward: (gradient_case, {}),
}
"""By function: its arguments, drawn, and what is given by name: a value, or an argument's place."""

NUMBERS = [0, -1, 1, 3, 2**15, MAX_INDEX + 1, 2**31, 2**32 + 1, 2**63, -(2**63), 2**70]
VALUES = [0, -1, 1e-38, 1e30, np.inf, -np.inf, np.nan]


def hostile(value, rng):
    """Another array, number, tuple or bytes in an argument's place."""
    if isinstance(value, torch.Tensor):
        return hostile_tensor(value, rng)
    if isinstance(value, np.ndarray):
        return hostile_array(value, rng)
    if isinstance(value, (tuple, list)) and value and not hasattr(value, "fields"):
        at = int(rng.integers(len(value)))
        kind = rng.integers(4)
        if kind == 0:
            return value[:at]
        if kind == 1:
            return value + value
        return type(value)((*value[:at], hostile(value[at], rng), *value[at + 1 :]))
    if isinstance(value, bytes):
        kind = rng.integers(3)
        at = int(rng.integers(len(value) + 1))
        return value[:at] if kind == 0 else value + value if kind == 1 else rng.bytes(len(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return int(NUMBERS[int(rng.integers(len(NUMBERS)))])
    return value


def hostile_array(array, rng):
    kind = rng.integers(9)
    if kind == 0:
        return array.astype(str(rng.choice(["u1", "i2", ">i2", "i4", "i8", "f2", ">f4", "f8"])))
    if kind == 1:
        return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    if kind == 2:
        return array[..., ::-1]
    if kind == 3:
        return array[tuple(slice(int(rng.integers(n + 1))) for n in array.shape)]
    if kind == 4:
        # At an address that is no multiple of its numbers' size.
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
        raw[:] = np.frombuffer(array.tobytes(), np.uint8)
        return raw.view(array.dtype).reshape(array.shape)
    if kind == 5:
        return np.moveaxis(array, 0, -1) if rng.random() < 0.5 else array[None]
    if kind == 6:
        return np.broadcast_to(array.ravel()[:1], array.shape) if array.size else array
    array = array.copy()
    if array.size:
        limits = VALUES
        if array.dtype.kind != "f":
            limits = [np.iinfo(array.dtype).min, np.iinfo(array.dtype).max]
        some = rng.random(array.shape) < rng.choice([0.01, 1])
        array[some] = rng.choice(np.array(limits, array.dtype))
    return array


def hostile_tensor(tensor, rng):
    kind = rng.integers(7)
    if tensor.dtype != torch.float32 or tensor.layout != torch.strided or tensor.is_meta:
        return tensor
    if kind == 0:
        dtypes = [torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool]
        return tensor.to(dtypes[int(rng.integers(len(dtypes)))])
    if kind == 1:
        return tensor[..., :1].expand(tensor.shape)
    if kind == 2:
        return tensor.to("meta") if rng.random() < 0.3 else tensor.to_sparse()
    if kind == 3 and tensor.numel():
        raw = bytearray(1) + tensor.numpy().tobytes()
        return torch.frombuffer(raw, dtype=torch.float32, offset=1).reshape(tensor.shape)
    array = hostile_array(tensor.numpy(), rng)
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))


def test_every_binding_is_called():
    package = "softjpeg.kernels.cpu."
    modules = [
        value
        for value in globals().values()
        if inspect.ismodule(value) and value.__name__.startswith(package)
    ]
    assert len(modules) > 7
    functions = {
        function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(inspect.unwrap(function)) and not name.startswith("_")
        if inspect.unwrap(function).__module__.startswith("softjpeg.kernels.cpu")
    }
    assert (
        functions - ENTRIES.keys() == {transform.coefficient_shapes, layer.check_layer} & functions
    )


def test_calls():
    rng = np.random.default_rng(SEED)
    ended = collections.Counter()
    functions = list(ENTRIES)
    for n in range(COUNT):
        function = functions[n % len(functions)]
        case, named = ENTRIES[function]
        arguments = list(case(rng))
        # Whole calls, too: what is computed is to stay within its memory.
        for _ in range(rng.integers(3)):
            at = int(rng.integers(len(arguments)))
            arguments[at] = hostile(arguments[at], rng)
        options = {
            name: value if isinstance(value, bool) else arguments[value]
            for name, value in named.items()
        }
        by_name = {value for value in named.values() if not isinstance(value, bool)}
        places = [value for at, value in enumerate(arguments) if at not in by_name]
        try:
            function(*places, **options)
            ended[function, "computed"] += 1
        except (ValueError, MemoryError):
            ended[function, "refused"] += 1
    if COUNT >= 400:
        assert len(ended) > 1.5 * len(functions)
