"""The fused layer as an operator of PyTorch; its values are judged in tests/functional."""

import warnings

import pytest
import torch

from softjpeg import FeatureJPEGLayer, JPEGLayer
from softjpeg.functional import pure_functions
from softjpeg.kernels.cpu import layer as cpu_layer
from softjpeg.kernels.library import is_available
from softjpeg.kernels.operator import supports

pytestmark = pytest.mark.skipif(
    not is_available("_layer"), reason="the C kernels were not built, or are switched off"
)


def results(layer, x, weights):
    """Output and gradients of x, tables and hardness, in float64."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    (y * weights).sum().backward()
    return [t.double().clone() for t in (y, x.grad, layer.tables.grad, layer.log_hardness.grad)]


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(16, 16), (19, 37), (3, 3)])
def test_rounding(subsampling, size):
    pixels = torch.randint(0, 256, (4, 3, *size), generator=torch.Generator().manual_seed(3))
    x = pixels / 255
    layer = JPEGLayer(hardness=30.0, subsampling=subsampling, rounding=True)
    fused = layer(x)
    with pure_functions():
        pure = layer.double()(x.double())
    assert torch.equal((fused * 255).round() / 255, fused)
    # A sum that float32 puts on the other side of a half is rounded the other way.
    assert ((fused - pure).abs() > 1e-4).float().mean() < 0.005


def test_rounding_passes_gradients_straight_through():
    x = torch.rand(1, 3, 16, 16)
    weights = torch.randn(1, 3, 16, 16)
    table = torch.full((8, 8), 1e-5)
    layer = JPEGLayer(table, table, rounding=True, hardness=1e-3, train_hardness=True)
    # So soft a quantizer is the identity, and the whole layer's gradient one.
    assert torch.allclose(results(layer, x, weights)[1].float(), weights, atol=1e-5)


def test_strides():
    x = torch.rand(2, 3, 64, 40)
    layer = JPEGLayer(torch.full((8, 8), 9.0), subsampling="4:2:0", hardness=4.0)
    y = layer(x)
    last = x.contiguous(memory_format=torch.channels_last)
    assert layer(last).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer(last), y)
    wide = torch.rand(2, 3, 70, 90)
    wide[:, :, 3:67, 5:85:2] = x
    assert torch.equal(layer(wide[:, :, 3:67, 5:85:2]), y)
    one = x[:1, :1, :1, :1].expand(2, 3, 64, 40)
    assert torch.equal(layer(one), layer(one.contiguous()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype):
    x = torch.rand(2, 3, 24, 24).to(dtype).requires_grad_()
    layer = JPEGLayer(torch.full((8, 8), 9.0), hardness=4.0)
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    assert torch.equal(y, layer(x.float()).to(dtype))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_sums_do_not_depend_on_the_threads(subsampling):
    x = torch.rand(5, 3, 48, 80)
    layer = JPEGLayer(hardness=4.0, subsampling=subsampling, train_hardness=True)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(results(layer, x, torch.ones(x.shape)))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize(("layout", "kinds"), [("4:2:0", 2), ("gray", 2), ("planes", 3)])
def test_operator(layout, kinds):
    x = torch.rand(2, 1 if layout == "gray" else 3, 9, 11, requires_grad=True)
    tables = torch.full((1, kinds, 8, 8), 3.0, requires_grad=True)
    arguments = (x, tables, 0.5 * tables.detach(), layout, False, 127, 5, False)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.softjpeg.jpeg_layer.default, arguments, test_utils=checks)


def test_gradients_lie_as_the_compiler_is_told():
    x, tables = torch.rand(2, 3, 9, 11), torch.full((2, 3, 8, 8), 3.0)
    arguments = (x, x, tables, 0.5 * tables, "planes", False, None, None, False, True)
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(
        torch.ops.softjpeg.jpeg_layer_backward.default, arguments, test_utils=checks
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            dict.fromkeys(("image", "gradient"), torch.zeros(1, 1, 8, 8)),
            r"image must have shape \(B, 3, H, W\) for 4:2:0, got \(1, 1, 8, 8\)",
        ),
        ({"steps": torch.ones(1, 1, 8, 8)}, r"steps must have shape .*, got \(1, 1, 8, 8\)"),
        ({"alphas": torch.ones(2, 2, 8, 8)}, r"alphas must have shape .*, got \(2, 2, 8, 8\)"),
        ({"steps": torch.ones(1, 2, 8, 8, device="meta")}, "steps must be on cpu, got meta"),
        ({"gradient": torch.zeros(1, 3, 8, 9)}, r"gradient must have .*, got \(1, 3, 8, 9\)"),
    ],
)
def test_bad_arguments_are_named(change, sentence):
    tables = {name: torch.ones(1, 2, 8, 8) for name in ("steps", "alphas")}
    image = torch.zeros(1, 3, 8, 8)
    given = {"gradient": image, "image": image, **tables} | change
    with pytest.raises(ValueError, match=sentence):
        cpu_layer.backward(**given, layout="4:2:0")


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_tables_alone_get_the_same_gradient(subsampling):
    x = torch.rand(2, 3, 17, 33)
    layer = JPEGLayer(hardness=4.0, subsampling=subsampling, train_hardness=True)
    of_all = results(layer, x, torch.ones(x.shape))[2:]
    layer.zero_grad()
    layer(x).sum().backward()
    assert torch.equal(of_all[0].float(), layer.tables.grad)
    assert torch.equal(of_all[1].float(), layer.log_hardness.grad)


def test_a_second_derivative_is_refused():
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    (first,) = torch.autograd.grad(JPEGLayer(hardness=4.0)(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once only"):
        first.sum().backward()


def test_export_has_one_operator():
    program = torch.export.export(JPEGLayer(hardness=9.0), (torch.rand(1, 3, 16, 16),))
    names = [str(node.target) for node in program.graph.nodes]
    assert names.count("softjpeg.jpeg_layer.default") == 1
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(program.module()(x), JPEGLayer(hardness=9.0)(x))


def test_an_empty_batch():
    for layer, x in (
        (JPEGLayer(), torch.rand(0, 3, 8, 8, requires_grad=True)),
        (FeatureJPEGLayer(2, per_channel=True), torch.rand(0, 2, 8, 8, requires_grad=True)),
    ):
        layer(x).sum().backward()
        assert layer.tables.grad.abs().sum() == 0


def test_what_it_leaves_to_the_pure_functions(monkeypatch):
    x, tables = torch.rand(1, 3, 8, 8), torch.ones(1, 2, 8, 8)

    def taken(x=x, steps=tables, levels=None, window=None):
        return supports(x, steps, tables, levels, window)

    assert taken()
    assert not taken(x.double())
    assert not taken(x.to("meta"))
    assert not taken(steps=tables.double())
    assert not taken(levels=1 << 30, window=5)
    with torch.autograd.forward_ad.dual_level():
        assert taken()
        with warnings.catch_warnings():
            # PyTorch's own, when it first makes one.
            warnings.simplefilter("ignore", FutureWarning)
            dual = torch.autograd.forward_ad.make_dual(x, x)
        assert not taken(dual)
    seen = []
    torch.func.grad(lambda x: seen.append(taken(x)) or x.sum())(x)
    assert seen == [False]
    with pure_functions():
        assert not taken()
    monkeypatch.setenv("SOFTJPEG_KERNELS", "0")
    assert not taken()
