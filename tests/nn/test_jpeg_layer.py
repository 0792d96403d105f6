"""`JPEGLayer`: against the functions it is made of, and real files."""

import functools
import io

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import references
from helpers.ops import Case, ModuleTests, uniform
from softjpeg import JPEGLayer, Preset, decode, encode
from softjpeg.functional import hard_quantize, soft_quantize
from softjpeg.functional.rate.entropy import entropy_bits, predict_dc
from softjpeg.functional.transform import coefficients_to_image, image_to_coefficients
from softjpeg.jpeg.markers import scan_bytes


def picture(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_forward_is_transform_quantize_inverse():
    luma, chroma = torch.full((8, 8), 12.0), torch.full((8, 8), 30.0)
    layer = JPEGLayer(luma, chroma, hardness=4.0, subsampling="4:2:0")
    x = picture(2, 3, 21, 34)
    z = image_to_coefficients(x, "4:2:0")
    steps = (luma, chroma, chroma)
    soft = [soft_quantize(c, q, 4.0 / q**2) for c, q in zip(z, steps, strict=True)]
    assert torch.allclose(layer(x), coefficients_to_image(soft, (21, 34), "4:2:0"), atol=1e-5)


def test_hard_rounding_layer_is_the_real_codec():
    preset = Preset.from_quality(40, "4:2:0")
    layer = JPEGLayer(
        preset.luma, preset.chroma, quantizer="hard", subsampling="4:2:0", rounding=True
    )
    smooth = torch.nn.functional.interpolate(picture(1, 3, 6, 6), (45, 62), mode="bicubic")
    x = (smooth.clamp(0, 1) * 255).round() / 255
    shown = (layer(x)[0] * 255).round()
    real = decode(encode((x[0] * 255).round().to(torch.uint8), preset))
    assert (shown - real).abs().mean() <= 0.5


class TestJPEGLayer(ModuleTests):
    cases = {
        "4:4:4": Case((uniform(1, 3, 8, 8),)),
        "4:2:0, odd": Case((uniform(2, 3, 9, 13),), {"subsampling": "4:2:0", "rounds": 2}),
        "gray": Case((uniform(2, 1, 8, 9),), {"levels": 3, "window": 5}),
        "hard": Case((uniform(2, 3, 9, 9),), {"quantizer": "hard"}, smooth=False),
        "decoder": Case((uniform(2, 3, 9, 9),), {"rounding": True}, smooth=False),
    }
    kernel_tolerance, kernel_slack = 1e-5, 8.0
    meta = False

    def module(self, **settings):
        tables = torch.full((8, 8), 20.0), torch.full((8, 8), 25.0)
        train = settings.get("quantizer", "soft") == "soft"
        return JPEGLayer(*tables, hardness=3.0, train_hardness=train, **settings)

    def check_kernel(self, kind, fused, single, exact, case):
        if "quantizer" in case.settings or "rounding" in case.settings:
            # Rounding decides ties by a sum's last bit.
            assert ((fused - exact).abs() > 1e-3).double().mean() < 0.01
        else:
            super().check_kernel(kind, fused, single, exact, case)


@pytest.mark.parametrize("kind", ["soft", "hard", "noise", "cubic", "lsq"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_quantizer_trains(kind, channels):
    layer = JPEGLayer(torch.full((8, 8), 30.0), torch.full((8, 8), 30.0), quantizer=kind)
    optimizer = torch.optim.SGD(layer.parameters(), lr=10.0)
    before = layer.tables.detach().clone()
    torch.manual_seed(0)
    loss = (layer(picture(2, channels, 16, 16)) ** 2).sum()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(layer.tables).all()
    assert not torch.equal(before[:, 0], layer.tables[:, 0])


def test_rounds_have_their_own_tables():
    luma = torch.stack([torch.full((8, 8), 5.0), torch.full((8, 8), 40.0)])
    layer = JPEGLayer(luma, luma, quantizer="hard", rounds=2)
    z = image_to_coefficients(picture(1, 3, 8, 8), "4:4:4")
    expected = hard_quantize(hard_quantize(z[0], luma[0]), luma[1])
    assert torch.equal(layer.quantize(z)[0], expected)
    assert tuple(layer.luma.shape) == (2, 8, 8)


def test_fixed_alpha_does_not_follow_the_table():
    layer = JPEGLayer(torch.full((8, 8), 2.0), torch.full((8, 8), 4.0), alpha=5.0)
    assert layer.sharpness().unique().tolist() == [5.0]
    assert layer.hardness()[0, :, 0, 0].tolist() == [20.0, 80.0]


def test_steps_stay_in_their_range_but_keep_their_gradient():
    layer = JPEGLayer(torch.full((8, 8), 300.0), quantizer="hard", table_range=(1.0, 255.0))
    assert layer.luma.unique().tolist() == [255.0]
    layer.luma.sum().backward()
    assert layer.tables.grad[:, 0].unique().tolist() == [1.0]


def test_a_step_far_below_its_range_is_clamped_exactly():
    layer = JPEGLayer(torch.ones(8, 8), hardness=3.0)
    with torch.no_grad():
        layer.tables.fill_(-300.0)
    assert torch.isfinite(layer(picture(1, 3, 8, 8))).all()
    assert layer.luma.unique().tolist() == [pytest.approx(1e-5)]


def test_training_after_inference_mode_and_under_autocast():
    layer = JPEGLayer(torch.full((8, 8), 9.0)).double()
    x = picture(1, 3, 16, 16)
    with torch.inference_mode():
        layer(x.double())
    layer(x.double()).sum().backward()
    single = JPEGLayer(torch.full((8, 8), 9.0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        shown = single(x)
    assert shown.dtype == torch.float32
    assert (shown - layer(x.double())).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantizer": "sfot"}, "quantizer must be one of .* got 'sfot'"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"hardness": -1.0}, "hardness must be positive, got -1.0"),
        ({"alpha": 0.0}, "alpha must be positive, got 0.0"),
        ({"alpha": 5.0, "train_hardness": True}, "alpha is fixed at 5.0"),
        ({"subsampling": "4:1:1"}, "subsampling must be one of"),
        ({"luma": torch.ones(3, 3)}, r"luma must have shape \(8, 8\) or .* got \(3, 3\)"),
        ({"chroma": torch.zeros(8, 8)}, "chroma must be positive, got 0.0"),
        ({"table_range": (0.0, 0.0)}, r"table_range must be positive .* got \(0.0, 0.0\)"),
        ({"window": 4}, "window must be an odd number"),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        JPEGLayer(**options)


def test_refused_images():
    with pytest.raises(ValueError, match=r"image must have shape .* got \(3, 8, 8\)"):
        JPEGLayer()(torch.zeros(3, 8, 8))


RAMP = torch.linspace(9, 60, 64).reshape(8, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_entropy_of_images_is_that_of_their_coefficients_counted_one_by_one(channels):
    """Of the second of two rounds, as the index is the last quantizer's."""
    layer = JPEGLayer(
        torch.stack([RAMP / 2, RAMP]), hardness=3.0, subsampling="4:2:0", rounds=2
    ).double()
    x = picture(2, channels, 17, 20).double()
    shown, bits = layer.forward_with_rate(x)
    assert torch.equal(shown, layer(x))
    planes = image_to_coefficients(x, "4:4:4" if channels == 1 else "4:2:0")
    expected = 0.0
    for kind, z in zip((0, 1, 1), planes, strict=False):
        steps, alphas = layer.tables[:, kind].detach(), layer.sharpness()[:, kind].detach()
        given = predict_dc(soft_quantize(z, steps[0], alphas[0])).numpy()
        entropy = references.entropy(given, steps[1].numpy(), alphas[1].numpy())
        expected += entropy.sum() * z.shape[1] * z.shape[2]
    assert bits.item() == pytest.approx(expected, rel=1e-9)


def test_jpeg_bits_of_images_are_those_of_files_pillow_writes():
    preset = Preset.from_quality(60, "4:2:0")
    smooth = torch.nn.functional.interpolate(picture(3, 3, 6, 6), (45, 62), mode="bicubic")
    x = (smooth.clamp(0, 1) * 255).round() / 255
    layer = JPEGLayer(preset.luma, preset.chroma, hardness=1e5, subsampling="4:2:0", rounding=True)
    _, bits = layer.forward_with_rate(x, rate="jpeg")
    sizes = []
    for image in (x * 255).round().to(torch.uint8):
        file = io.BytesIO()
        pixels = Image.fromarray(image.permute(1, 2, 0).numpy())
        pixels.save(file, "jpeg", quality=60, optimize=True)
        sizes.append(scan_bytes(file.getvalue()))
    assert bits.item() / 8 == pytest.approx(np.mean(sizes), rel=0.01)


@pytest.mark.parametrize("rate", ["entropy", "jpeg"])
def test_gradient_of_shown_and_bits_is_that_of_their_values(rate):
    """J4D's whole objective, by differences of both its terms."""
    layer = JPEGLayer(RAMP, RAMP + 3, hardness=2.0, train_hardness=True).double()
    x = picture(1, 3, 8, 16).double()
    weights = picture(1, 3, 8, 16, seed=1).double()

    def objective():
        shown, bits = layer.forward_with_rate(x, rate=rate)
        return (shown * weights).sum() + bits

    objective().backward()
    for parameter in layer.parameters():
        for kind, row, column in ((0, 0, 0), (0, 2, 1), (1, 0, 0), (1, 7, 7)):
            entry = parameter.data[0, kind]
            before, values = entry[row, column].item(), []
            for change in (1e-4, -1e-4):
                entry[row, column] = before + change
                values.append(objective().item())
            entry[row, column] = before
            slope = (values[0] - values[1]) / 2e-4
            found = parameter.grad[0, kind, row, column].item()
            assert found == pytest.approx(slope, rel=2e-3, abs=2e-5)


def test_rate_without_dc_and_in_half_precision():
    layer = JPEGLayer(RAMP, RAMP, zero_dc=True)
    flat = torch.full((1, 3, 16, 16), 0.9)
    assert layer.forward_with_rate(flat)[1].item() == pytest.approx(0, abs=1e-3)
    x = picture(1, 3, 16, 16)
    shown, bits = layer.forward_with_rate(x.half())
    assert shown.dtype == torch.float16
    assert bits.item() == pytest.approx(layer.forward_with_rate(x)[1].item(), rel=0.01)


def test_refused_rates():
    x = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="rate must be entropy or jpeg, got 'huffman'"):
        JPEGLayer().forward_with_rate(x, rate="huffman")
    with pytest.raises(ValueError, match="the quantizer 'none' has no indices"):
        JPEGLayer(quantizer="none").forward_with_rate(x)


def test_a_layer_of_a_preset_shows_what_its_files_show():
    generator = torch.Generator().manual_seed(0)
    hardness = 1 + 9 * torch.rand(2, 8, 8, generator=generator).double()
    tables = Preset.from_quality(40)
    preset = Preset(tables.luma, tables.chroma, hardness.numpy(), "4:2:2")
    layer = JPEGLayer.from_preset(preset, quantizer="hard", rounding=True)
    smooth = torch.nn.functional.interpolate(picture(1, 3, 6, 6), (45, 62), mode="bicubic")
    x = (smooth.clamp(0, 1) * 255).round() / 255
    real = decode(encode((x[0] * 255).round().to(torch.uint8), preset))
    assert ((layer(x)[0] * 255).round() - real).abs().mean() <= 0.5
    assert torch.allclose(layer.hardness()[0].double(), hardness, rtol=1e-5)
    own = JPEGLayer.from_preset(preset, subsampling="4:4:4", alpha=5.0, rounds=2)
    assert own.subsampling == "4:4:4"
    assert own.sharpness().unique().tolist() == [5.0]


def test_a_preset_that_shrinks_images_makes_no_layer():
    own = Preset.from_quality(50)
    with pytest.raises(ValueError, match=r"short_side must be None for a layer, got 256"):
        JPEGLayer.from_preset(Preset(own.luma, own.chroma, short_side=256))
    with pytest.raises(ValueError, match=r"center must be None for a layer, got 0.9"):
        JPEGLayer.from_preset(Preset(own.luma, own.chroma, center=0.9))


def test_the_preset_of_a_layer_writes_its_tables():
    luma = torch.arange(64.0).view(8, 8) + 0.7
    chroma = torch.full((8, 8), 300.0)
    chroma[0, 1] = 33.4
    layer = JPEGLayer(luma, chroma, subsampling="4:2:2", alpha=0.01)
    preset = layer.to_preset({"run": "mine"})
    assert preset.subsampling == "4:2:2"
    assert preset.provenance == {"run": "mine"}
    # α is fixed: a hardness for each step, of the step as it trained, within the table range.
    steps = torch.stack([luma, chroma.clamp(max=255)]).double()
    np.testing.assert_allclose(preset.hardness, 0.01 * steps**2, rtol=1e-6)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    with Image.open(io.BytesIO(encode(Image.fromarray(pixels), preset))) as file:
        found = file.quantization
    assert found[0] == [i + 1 for i in range(64)]
    assert found[1] == [255, 33] + [255] * 62


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"rounds": 2}, "2 rounds, a file has one"),
        ({"luma": torch.full((8, 8), 0.4)}, "64 of 128 steps are below 0.5"),
        ({"zero_dc": True}, "leaves out DC"),
    ],
)
def test_a_layer_that_is_no_preset_says_why(options, reason):
    with pytest.raises(ValueError, match=reason):
        JPEGLayer(**options).to_preset()


def test_the_entropy_is_counted_over_the_layers_own_window_and_levels():
    image = picture(2, 3, 16, 16)
    tables = torch.full((2, 8, 8), 7.0)
    bits = {}
    for levels, window in ((127, 7), (127, 3), (2, 7)):
        layer = JPEGLayer(*tables, alpha=0.05, levels=levels, window=window)
        bits[levels, window] = layer.forward_with_rate(image)[1]
        z = image_to_coefficients(image, "4:4:4")
        alphas = [torch.full((8, 8), 0.05)] * 3
        steps = [tables[0], tables[1], tables[1]]
        by_hand = entropy_bits(z, steps, alphas, levels=levels, window=window)
        torch.testing.assert_close(bits[levels, window], by_hand)
    assert len({round(value.item(), 2) for value in bits.values()}) == 3


class TestFunctionTransforms:
    """`torch.func`, meta tensors and PyTorch's own exporter, beside plain autograd."""

    LAYERS = {
        "4:4:4, five points": {"levels": 127, "window": 5},
        "4:2:0, bounded tightly": {"subsampling": "4:2:0", "levels": 3, "window": 5},
        "4:2:2, all integers": {"subsampling": "4:2:2"},
        "rounding": {"rounding": True, "window": 7},
    }

    @pytest.fixture(params=LAYERS)
    def layer(self, request):
        steps = 4 + torch.arange(64.0).view(8, 8) / 4
        # Soft at low frequencies and hard at high ones: both sums over all integers are used.
        return JPEGLayer(steps, 1.5 * steps, alpha=0.05, **self.LAYERS[request.param])

    @staticmethod
    def loss(layer, tables, x):
        shown = torch.func.functional_call(layer, {"tables": tables}, (x,))
        return (shown * torch.linspace(0, 1, shown.numel()).view(shown.shape)).sum()

    def gradients(self, layer, x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(self.loss(layer, layer.tables, x), (layer.tables, x))

    def test_grad_and_vjp(self, layer):
        x, tables = picture(2, 3, 17, 12), layer.tables.detach()
        expected = self.gradients(layer, x)
        found = torch.func.grad(lambda *both: self.loss(layer, *both), (0, 1))(tables, x)
        for f, e in zip(found, expected, strict=True):
            torch.testing.assert_close(f, e, rtol=1e-3, atol=1e-4)
        _, vjp = torch.func.vjp(lambda *both: self.loss(layer, *both), tables, x)
        for f, e in zip(vjp(torch.tensor(1.0)), expected, strict=True):
            torch.testing.assert_close(f, e, rtol=1e-3, atol=1e-4)

    # PyTorch's own rules for it are scripts.
    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
    def test_jvp_is_the_gradient_along_a_direction(self, layer):
        x, tables = picture(1, 3, 16, 16), layer.tables.detach()
        toward = torch.randn(tables.shape), torch.randn(x.shape)
        _, found = torch.func.jvp(lambda *both: self.loss(layer, *both), (tables, x), toward)
        expected = sum((g * t).sum() for g, t in zip(self.gradients(layer, x), toward, strict=True))
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)

    def test_gradients_of_each_image(self, layer):
        x, tables = picture(3, 3, 16, 16), layer.tables.detach()
        each = torch.func.vmap(
            torch.func.grad(lambda tables, one: self.loss(layer, tables, one[None])), (None, 0)
        )
        found = each(tables, x)
        for image, gradient in zip(x, found, strict=True):
            expected = self.gradients(layer, image[None])[0]
            torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-4)

    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
    def test_products_with_the_hessian(self, layer):
        """Beside differences of plain gradients, which a layer that rounds has not."""
        layer.rounding = False
        layer.double()
        x, tables = picture(1, 3, 16, 16).double(), layer.tables.detach()
        toward = torch.randn(tables.shape, dtype=torch.float64)
        gradient = torch.func.grad(lambda tables: self.loss(layer, tables, x).square())
        expected = (gradient(tables + 1e-5 * toward) - gradient(tables - 1e-5 * toward)) / 2e-5
        assert expected.norm() > 1
        for found in (
            torch.func.jvp(gradient, (tables,), (toward,))[1],
            torch.func.vjp(gradient, tables)[1](toward)[0],
        ):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)

    def test_many_tables_for_one_picture(self, layer):
        x, tables = picture(1, 3, 16, 16), layer.tables.detach()
        many = torch.stack([tables, 1.5 * tables])
        run = functools.partial(torch.func.functional_call, layer, args=(x,))
        found = torch.func.vmap(lambda tables: run({"tables": tables}))(many)
        for shown, each in zip(found, many, strict=True):
            torch.testing.assert_close(shown, run({"tables": each}), rtol=1e-4, atol=1e-4)

    def test_a_picture_that_no_transform_is_about(self, layer):
        x, tables = picture(1, 3, 16, 16), layer.tables.detach()
        scaled = torch.tensor([1.0, -2.0])

        def gradient(scale):
            _, vjp = torch.func.vjp(lambda tables: self.loss(layer, tables, x), tables)
            return vjp(scale)[0]

        found = torch.func.vmap(gradient)(scaled)
        expected = scaled.view(2, 1, 1, 1, 1) * self.gradients(layer, x)[0]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)

    def test_meta_tensors_have_shapes_alone(self, layer):
        shown = layer.to("meta")(torch.empty(2, 3, 9, 20, device="meta"))
        assert (shown.device.type, shown.shape) == ("meta", (2, 3, 9, 20))

    def test_pytorchs_own_export_knows_onnx_alone(self, layer, tmp_path):
        runtime = pytest.importorskip("onnxruntime", reason="softjpeg[export] is not installed")
        pytest.importorskip("onnxscript", reason="softjpeg[export] is not installed")
        x = picture(1, 3, 16, 24)
        file = tmp_path / "layer.onnx"
        torch.onnx.export(layer.eval(), (x,), file, dynamo=True, verbose=False)
        session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (shown,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(shown), layer(x), rtol=1e-4, atol=1e-4)
