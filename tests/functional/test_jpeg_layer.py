"""The whole layer: against NumPy and SciPy, and the fused kernels against it."""

import itertools

import pytest
import torch

from helpers import references
from helpers.ops import Case, OperatorTests, uniform
from softjpeg.functional import jpeg_layer
from softjpeg.functional.jpeg_layer import quantize_rounds

CHANNELS = {"gray": 1, "planes": 5}
INDEX_SETS = [(None, None), (127, 5), (None, 7), (3, None), (2, 5), (40, None)]
SIZES = [(1, 1), (7, 9), (17, 33), (40, 56), (5, 3)]
HARDNESSES = (0.05, 1.0, 2.5, 8.0, 200.0)


def layer_case(layout, size, *, hardness=3.0, rounds=1, kinds=2, batch=2, low=1.0, **settings):
    """Uneven tables and hardness, steps from `low` to `low + 20`."""
    image = uniform(batch, CHANNELS.get(layout, 3), *size, seed=sum(size))
    if layout == "planes":
        image, kinds = 60 * image, kinds if kinds == 1 else 5
    steps = low + 20 * uniform(rounds, kinds, 8, 8, seed=1)
    uneven = hardness * torch.exp(0.4 * uniform(rounds, kinds, 8, 8, low=-1, seed=2))
    return Case((image, steps, uneven / steps**2), {"layout": layout, **settings})


LAYER = {
    "4:4:4": layer_case("4:4:4", (9, 10)),
    "4:2:2": layer_case("4:2:2", (5, 17), rounds=2),
    "4:2:0": layer_case("4:2:0", (17, 10), zero_dc=True),
    "4:2:0, one pixel": layer_case("4:2:0", (1, 1)),
    "gray": layer_case("gray", (7, 9), window=5, levels=127),
    "planes": layer_case("planes", (8, 3), levels=3, window=7),
    "planes of one table": layer_case("planes", (9, 8), kinds=1, rounds=2),
    "nearly the identity": layer_case("4:4:4", (8, 8), hardness=0.05),
}


class TestJpegLayer(OperatorTests):
    function, reference = staticmethod(jpeg_layer), staticmethod(references.layer)
    cases = LAYER
    precision = 1e-5  # Of the theta function, whose error the colour of saturated pixels shows.
    kernel_tolerance, kernel_slack = 1e-5, 8.0
    epsilons = 400.0  # Planes of up to 60.
    meta = False  # Which sum is exact depends on the hardness.


class TestFusedLayer(OperatorTests):
    """Every layout and index set at many sizes, hardnesses and rounds, and extreme tables."""

    function = staticmethod(jpeg_layer)
    only = ("test_the_kernel_is_the_definition",)
    kernel_tolerance, kernel_slack = 1e-5, 8.0
    cases = {
        f"{layout}, {kinds} kinds, {levels}, {window}, {size}": layer_case(
            layout,
            size,
            hardness=HARDNESSES[index],
            kinds=kinds,
            rounds=1 + index % 2,
            batch=3,
            zero_dc=index % 3 == 1,
            levels=levels,
            window=window,
        )
        for (layout, kinds), (levels, window), (index, size) in itertools.product(
            [("4:4:4", 2), ("4:2:2", 2), ("4:2:0", 2), ("gray", 2), ("planes", 5), ("planes", 1)],
            INDEX_SETS,
            enumerate(SIZES),
        )
    }

    def check_kernel(self, kind, fused, single, exact, case):
        super().check_kernel(kind, fused, single, exact, case)
        if kind == "value":
            assert (fused - exact).abs().amax() <= 1e-3 * exact.abs().amax()


class TestExtremeTables(TestFusedLayer):
    kernel_tolerance = 1e-4
    cases = {
        f"{step}, {hardness}, {levels}": Case(
            (
                uniform(2, 3, 32, 48, seed=2),
                torch.full((1, 2, 8, 8), step, dtype=torch.float64),
                torch.full((1, 2, 8, 8), hardness / step**2, dtype=torch.float64),
            ),
            {"layout": "4:2:0", "levels": levels, "window": window},
        )
        for step, hardness in ((1e-5, 20.0), (255.0, 0.01), (255.0, 1e4), (0.3, 3.0))
        for levels, window in ((None, None), (127, 5))
    } | {
        # The cube of 1500 is more than an int holds.
        "many indices": Case(
            (
                60 * uniform(1, 1, 8, 8),
                torch.full((1, 1, 8, 8), 30.0, dtype=torch.float64),
                torch.full((1, 1, 8, 8), 1e-6 / 900, dtype=torch.float64),
            ),
            {"layout": "planes", "levels": 1500},
        )
    }


class TestQuantizeRounds(OperatorTests):
    function = staticmethod(quantize_rounds)
    cases = {
        "two rounds": Case(
            (
                uniform(2, 3, 8, 8, low=-40, high=40),
                uniform(2, 8, 8, low=3, high=9, seed=1),
                uniform(2, 8, 8, low=0.02, high=0.09, seed=2),
            ),
            {"zero_dc": True},
        )
    }
    precision = 1e-6
    epsilons = 400.0  # Half precision is rounded after each round.
    meta = False

    @staticmethod
    def reference(z, steps, alphas, zero_dc):
        z = z.copy()
        z[..., 0, 0] = 0
        for q, alpha in zip(steps, alphas, strict=True):
            z = references.soft(z, q, alpha)
        return z


@pytest.mark.parametrize("quantizer", ["hard", "noise", "cubic", "lsq", "clip", "none"])
@pytest.mark.parametrize("layout", ["4:2:0", "gray", "planes"])
def test_every_quantizer_in_every_layout(quantizer, layout):
    image, steps, alphas = (t.float().requires_grad_() for t in LAYER[layout].tensors)
    settings = {"layout": layout, "quantizer": quantizer, "levels": 127}
    shown = jpeg_layer(image, steps, alphas, **settings)
    assert shown.shape == image.shape
    (gradient,) = torch.autograd.grad(shown.sum(), image)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layout": "4:1:1"}, "layout must be one of 4:4:4, .*, got '4:1:1'"),
        ({"layout": "gray"}, r"image must have shape \(B, 1, H, W\) for gray, got \(1, 3, 8, 8\)"),
        ({"quantizer": "sfot"}, "kind must be one of .*, got 'sfot'"),
        ({"image": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "floating point .* torch.uint8"),
        ({"steps": torch.ones(1, 1, 8, 8)}, r"steps must have shape .*, got \(1, 1, 8, 8\)"),
        ({"alphas": torch.ones(2, 2, 8, 8)}, r"alphas must have shape .*, got \(2, 2, 8, 8\)"),
        ({"window": 4}, "window must be an odd number"),
    ],
)
def test_refusals(change, sentence):
    tables = torch.ones(1, 2, 8, 8, dtype=torch.float64)
    arguments = {"image": torch.zeros(1, 3, 8, 8), "steps": tables, "alphas": tables} | change
    with pytest.raises(ValueError, match=sentence):
        jpeg_layer(**arguments)
